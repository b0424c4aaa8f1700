from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner

from copilot_api.cli.key_policy import KeyFlags, policy_options, resolve_time
from copilot_api.cli.options import Cleared
from copilot_api.config.budgets import parse_budget
from copilot_api.errors import BadRequest
from copilot_api.keys.models import KeyPolicy

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
BUDGETS = tuple(parse_budget(text) for text in ("credits:day:50", "tokens:month:1000", "requests:hour:9:observe"))
FULL = KeyPolicy(
    models=("a", "b"),
    cidrs=("10.0.0.0/8", "::1/128"),
    rpm=60,
    tpm=40_000,
    max_in_flight=4,
    weight=3,
    budgets=BUDGETS,
    observe=("rpm",),
)


def read(arguments: str, *, is_update: bool, **environment: str) -> KeyFlags:
    """What a command takes from its command line."""
    read: list[KeyFlags] = []

    @click.command
    @policy_options(is_update=is_update)
    def command(**given: Any) -> None:
        read.append(KeyFlags(**given))

    done = CliRunner(env=environment).invoke(command, arguments.split(), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return read[0]


def edit(arguments: str, **environment: str) -> KeyPolicy:
    return read(arguments, is_update=True, **environment).edit(FULL)


def create(arguments: str, **environment: str) -> KeyPolicy:
    return read(arguments, is_update=False, **environment).edit(KeyPolicy())


def test_without_flags_nothing_is_asked_for() -> None:
    for is_update in (False, True):
        assert read("", is_update=is_update) == KeyFlags()
    assert edit("") == FULL
    assert create("") == KeyPolicy()


def test_the_flags_make_a_policy() -> None:
    flags = (
        "--models a,b --cidr 10.0.0.0/8 --cidr ::1/128 --rpm 60 --tpm 40000 --max-in-flight 4 --weight 3"
        " --budget credits:day:50 --budget tokens:month:1000,requests:hour:9:observe --observe-only rpm"
    )
    assert create(flags) == FULL


def test_each_flag_changes_its_field_and_leaves_the_others() -> None:
    for flags, changes in (
        ("--models *", {"models": ("*",)}),
        ("--cidr 192.0.2.0/24", {"cidrs": ("192.0.2.0/24",)}),
        ("--rpm 5", {"rpm": 5}),
        ("--tpm 5", {"tpm": 5}),
        ("--max-in-flight 5", {"max_in_flight": 5}),
        ("--weight 1", {"weight": 1}),
        ("--observe", {"observe": ("*",)}),
        ("--observe-only tpm,max-in-flight", {"observe": ("tpm", "max_in_flight")}),
    ):
        expected: dict[str, Any] = changes
        assert edit(flags) == replace(FULL, **expected), flags


def test_none_takes_away_what_was_set() -> None:
    assert edit("--rpm none --tpm None --max-in-flight none --cidr NONE --budget none --enforce") == KeyPolicy(
        models=("a", "b"), weight=3
    )


def test_a_new_key_has_nothing_to_take_away() -> None:
    """`--cidr none` must not be taken for a network, and not for leave to come from everywhere either."""
    assert create("--cidr none").cidrs == ("none",)
    for flags in ("--rpm none", "--expires none", "--enforce"):
        with pytest.raises(click.UsageError):
            create(flags)
    with pytest.raises(BadRequest, match="no budget"):
        create("--budget none")


def test_a_budget_takes_the_place_of_the_one_for_the_same_unit_and_window() -> None:
    edited = edit("--budget tokens:month:7:observe --budget credits:week:1").budgets
    assert [budget.text for budget in edited] == [
        "credits:day:50",
        "tokens:month:7:observe",
        "requests:hour:9:observe",
        "credits:week:1",
    ]


def test_one_budget_is_taken_away_or_all_of_them() -> None:
    assert edit("--budget Credits:Daily:none").budgets == BUDGETS[1:]
    assert edit("--budget credits:week:none").budgets == BUDGETS
    assert edit("--budget none").budgets == ()
    assert edit("--budget requests:day:3,none").budgets == (parse_budget("requests:day:3"),)


@pytest.mark.parametrize("text", [":none", "credits:none", "gold:day:none", "credits:day:5:none"])
def test_what_names_no_budget_takes_none_away(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        edit(f"--budget {text}")
    assert refusal.value.message == f"this is no budget: '{text}'"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--observe --enforce", "--observe and --enforce exclude each other"),
        ("--observe --observe-only rpm", "--observe and --observe-only exclude each other"),
        ("--cidr none --cidr ::1", "goes with no other"),
        ("--budget credits:day:1 --budget credits:day:2", "given twice for credits:day"),
        ("--budget credits:day:1,credits:day:none", "given twice for credits:day"),
        ("--rpm many", "not a valid integer"),
        ("--not-before yesterday", "from now"),
    ],
)
def test_flags_that_do_not_go_together_are_bad_usage(flags: str, message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        edit(flags)


def test_a_variable_holds_several_between_commas_too() -> None:
    policy = create(
        "",
        COPILOT_API_BUDGET="credits:day:50, tokens:month:1000",
        COPILOT_API_CIDR="10.0.0.0/8,::1/128",
        COPILOT_API_RPM="60",
        COPILOT_API_OBSERVE_ONLY="rpm,tpm",
    )
    assert policy == KeyPolicy(cidrs=FULL.cidrs, rpm=60, budgets=BUDGETS[:2], observe=("rpm", "tpm"))
    assert edit("", COPILOT_API_CIDR="none", COPILOT_API_BUDGET="none").cidrs == ()


def test_a_flag_wins_over_its_variable() -> None:
    assert create("--cidr ::1", COPILOT_API_CIDR="10.0.0.0/8").cidrs == ("::1",)


def test_a_time_is_a_date_or_in_how_long() -> None:
    flags = read("--not-before 2h --expires 2027-01-01", is_update=False)
    assert resolve_time(flags.not_before, NOW) == NOW + timedelta(hours=2)
    assert resolve_time(flags.expires, NOW) == datetime(2027, 1, 1, tzinfo=UTC)
    assert read("--expires none", is_update=True).expires is Cleared.CLEARED
    assert resolve_time(Cleared.CLEARED, NOW) is resolve_time(None, NOW) is None
