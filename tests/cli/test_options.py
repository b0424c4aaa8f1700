from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from copilot_api.cli.options import (
    DURATION,
    FUTURE_MOMENT,
    MOMENT,
    NAMES,
    Cleared,
    OrNoneType,
    json_option,
    list_option,
    option,
    resolve_future,
    resolve_moment,
)

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@click.command()
@option("--account-type", "-a", variables=["OTHER"])
@option("--wait/--no-wait", default=False)
@json_option
def command(account_type: str | None, wait: bool, as_json: bool) -> None:
    click.echo(f"{account_type} {wait} {as_json}")


def call(*arguments: str, **environment: str) -> str:
    return CliRunner(env=environment).invoke(command, arguments).output.strip()


def test_every_flag_is_also_an_environment_variable() -> None:
    assert (
        call(COPILOT_API_ACCOUNT_TYPE="business", COPILOT_API_WAIT="1", COPILOT_API_JSON="true") == "business True True"
    )


def test_a_flag_wins_over_its_variable() -> None:
    assert call("-a", "individual", COPILOT_API_ACCOUNT_TYPE="business") == "individual False False"


def test_a_flag_may_have_further_variables() -> None:
    assert call(OTHER="enterprise").startswith("enterprise")
    assert call(OTHER="enterprise", COPILOT_API_ACCOUNT_TYPE="business").startswith("business")


def test_help_names_the_variables() -> None:
    assert "env var: COPILOT_API_WAIT" in " ".join(call("--help").split())


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        (" 30D ", timedelta(days=30)),
        ("2w", timedelta(weeks=2)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert DURATION.convert(text, None, None) == duration


@pytest.mark.parametrize("text", ["", "30", "d", "-1h", "1.5h", "1h30m", "1y", "٣d", "999999999w", "99999999999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", NOW - timedelta(hours=24)),
        ("2026-06-30", datetime(2026, 6, 30, tzinfo=UTC)),
        ("2026-06-30T10:00:00Z", datetime(2026, 6, 30, 10, tzinfo=UTC)),
        ("2026-06-30T10:00:00+02:00", datetime(2026, 6, 30, 8, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_date_or_how_long_ago(text: str, moment: datetime) -> None:
    assert resolve_moment(MOMENT.convert(text, None, None), NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00"])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(click.BadParameter):
        MOMENT.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", NOW + timedelta(hours=24)),
        ("2026-08-01", datetime(2026, 8, 1, tzinfo=UTC)),
        ("2026-08-01T10:00:00+02:00", datetime(2026, 8, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_moment_to_come_is_a_date_or_in_how_long(text: str, moment: datetime) -> None:
    assert resolve_future(FUTURE_MOMENT.convert(text, None, None), NOW) == moment


def test_what_is_no_moment_says_which_way_a_duration_goes() -> None:
    for kind, direction in ((MOMENT, "24h (ago)"), (FUTURE_MOMENT, "24h (from now)")):
        with pytest.raises(click.BadParameter) as refusal:
            kind.convert("soon", None, None)
        assert direction in refusal.value.message


def test_none_is_a_value_of_its_own() -> None:
    number = OrNoneType(click.INT)
    assert number.convert("5", None, None) == 5
    for text in ("none", " None ", "NONE"):
        assert number.convert(text, None, None) is Cleared.CLEARED
    assert number.convert(Cleared.CLEARED, None, None) is Cleared.CLEARED
    with pytest.raises(click.BadParameter):
        number.convert("no", None, None)


@click.command()
@list_option("--number", parse=int)
def listing(number: tuple[int, ...]) -> None:
    click.echo(repr(number))


def call_listing(*arguments: str, **environment: str) -> str:
    return CliRunner(env=environment).invoke(listing, arguments).output.strip()


def test_a_list_is_given_with_commas_or_again_or_both() -> None:
    assert call_listing() == "()"
    assert call_listing("--number", "1") == "(1,)"
    assert call_listing("--number", "1, 2", "--number", "3") == "(1, 2, 3)"
    assert "name at least one" in call_listing("--number", ",")


def test_a_list_in_a_variable_has_commas_too() -> None:
    assert call_listing(COPILOT_API_NUMBER="1, 2") == "(1, 2)"
    assert call_listing("--number", "3", COPILOT_API_NUMBER="1,2") == "(3,)"
    assert call_listing(COPILOT_API_NUMBER="") == "()"


def test_names_have_commas_between_them() -> None:
    assert NAMES.convert(" a, b ,,c ", None, None) == ("a", "b", "c")
    with pytest.raises(click.BadParameter):
        NAMES.convert(" , ", None, None)
