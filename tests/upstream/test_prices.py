"""What calls cost: the catalog's prices in both spellings, held against recorded charges, and what charges teach."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.base import Usage
from copilot_api.simulator.replies import load_document
from copilot_api.upstream.prices import NANO_PER_CREDIT, UNKNOWN_PRICES, Tariff, TokenPrices, parse_prices

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=100)
SONNET = {"input_price": 300, "output_price": 1500, "cache_price": 30, "cache_write_price": 375}
USAGE = Usage(input_tokens=1_000, output_tokens=200, cache_read_tokens=600, cache_write_tokens=100)
USAGES = st.builds(
    lambda fresh, read, write, output: Usage(
        input_tokens=fresh + read + write, cache_read_tokens=read, cache_write_tokens=write, output_tokens=output
    ),
    *[st.integers(0, 1_000_000)] * 4,
)
PRICE_SETS = st.builds(TokenPrices, *[st.floats(0, 1e6)] * 4)


def prices(**changes: Any) -> dict[str, Any]:
    """`token_prices` of a model with one set of prices; a change to `...` leaves a field out."""
    fields = {name: value for name, value in {**SONNET, **changes}.items() if value is not ...}
    return {"batch_size": 1_000_000, "default": fields}


def parse(raw: object) -> TokenPrices:
    parsed = parse_prices(raw)
    assert parsed is not None
    return parsed


# The catalog ------------------------------------------------------------------------------------------------------


def test_prices_are_nano_aiu_a_token() -> None:
    """Sonnet: 300 credits a million tokens of input are 300,000 nano-AIU a token."""
    assert parse(prices()) == TokenPrices(input=300_000, output=1_500_000, cache_read=30_000, cache_write=375_000)
    assert parse(prices()).charge(Usage(input_tokens=1_000_000)) == 300 * NANO_PER_CREDIT


def test_the_recorded_catalog_is_read() -> None:
    """One model of it has prices, and a second set of them above 200,000 tokens of input."""
    found = {
        entry["id"]: parsed
        for entry in load_document("models.json")["data"]
        if (parsed := parse_prices(entry["billing"].get("token_prices"))) is not None
    }
    opus = TokenPrices(500_000, 2_500_000, 50_000, 625_000, 936_000)
    assert found == {"claude-opus-4.7": TokenPrices(500_000, 2_500_000, 50_000, 625_000, 200_000, opus)}


@pytest.mark.parametrize("new", [{"cache_read_price": 30}, {"cache_read_price": 30, "cache_price": 99}])
def test_the_price_of_what_is_read_from_the_cache_has_two_names_and_the_newer_wins(new: dict[str, int]) -> None:
    assert parse(prices(**{"cache_price": ..., **new})).cache_read == 30_000


@pytest.mark.parametrize("empty", [None, "30", -1, True, [], {}])
def test_a_new_name_that_says_nothing_leaves_the_word_to_the_old(empty: object) -> None:
    parsed = parse(prices(cache_read_price=empty, max_prompt_tokens=empty, context_max=200_000))
    assert (parsed.cache_read, parsed.context_max) == (30_000, 200_000)


@pytest.mark.parametrize("name", ["context_max", "max_prompt_tokens"])
def test_above_so_much_input_the_prices_of_long_context_hold(name: str) -> None:
    raw = prices(**{name: 200_000})
    raw["long_context"] = {**SONNET, "input_price": 600, "output_price": 2250}
    parsed = parse(raw)
    assert parsed.charge(Usage(input_tokens=200_000, output_tokens=10)) == 200_000 * 300_000 + 10 * 1_500_000
    assert parsed.charge(Usage(input_tokens=200_001, output_tokens=10)) == 200_001 * 600_000 + 10 * 2_250_000


def test_cached_input_is_part_of_a_long_context() -> None:
    raw = prices(context_max=1_000)
    raw["long_context"] = {**SONNET, "cache_price": 60}
    assert parse(raw).charge(Usage(input_tokens=1_001, cache_read_tokens=1_001)) == 1_001 * 60_000


@pytest.mark.parametrize("without", [{"context_max": ...}, {"context_max": None}])
def test_long_context_that_begins_nowhere_never_begins(without: dict[str, object]) -> None:
    raw = prices(**without)
    raw["long_context"] = {**SONNET, "input_price": 600}
    assert parse(raw).charge(Usage(input_tokens=10_000_000)) == 10_000_000 * 300_000


def test_long_context_without_prices_changes_none() -> None:
    raw = prices(context_max=1_000)
    raw["long_context"] = {"context_max": 936_000}
    assert parse(raw).charge(Usage(input_tokens=10_000)) == 10_000 * 300_000


def test_prices_are_for_a_batch_of_any_size() -> None:
    assert parse({**prices(), "batch_size": 1_000}).input == 300_000_000
    for unsaid in (0, None, "1000", -5):
        assert parse({**prices(), "batch_size": unsaid}).input == 300_000


def test_what_has_no_price_in_the_cache_costs_as_fresh_input() -> None:
    """Rather too much than too little."""
    parsed = parse(prices(cache_price=..., cache_write_price=...))
    assert (parsed.cache_read, parsed.cache_write) == (300_000, 300_000)


def test_a_model_may_cost_nothing() -> None:
    free = parse(prices(input_price=0, output_price=0, cache_price=0, cache_write_price=0))
    assert free.charge(USAGE) == 0


@pytest.mark.parametrize(
    "raw",
    [
        None, 5, "x", [], {}, {"default": None}, {"default": []}, {"default": {}}, {"default": {"input_price": 300}},
        {"default": {"output_price": 300}}, prices(input_price="300"), prices(output_price=None), prices(input_price=-1),
        prices(input_price=True), prices(input_price=10**400), prices(output_price=1e300), {"long_context": SONNET}, SONNET,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_no_price(raw: object) -> None:
    assert parse_prices(raw) is None


# Charges ----------------------------------------------------------------------------------------------------------


RECORDED = [
    ("chat.json", (24, 0, 0, 5), (0.0, 0.0, 0.0, 0.0), 0),
    ("chat_claude_split_choices.json", (812, 0, 0, 61), (300.0, 30.0, 375.0, 1500.0), 335_100_000),
    ("chat_tool_calls_claude_repeated_ids.sse", (77, 512, 0, 57), (300.0, 30.0, 375.0, 1500.0), 123_960_000),
    ("messages.json", (9, 5071, 0, 62), (500.0, 50.0, 625.0, 2500.0), 413_050_000),
    ("messages.sse", (569, 0, 0, 54), (300.0, 30.0, 375.0, 1500.0), 251_700_000),
    ("messages_refusal.sse", (2167, 0, 0, 1), (500.0, 50.0, 625.0, 2500.0), 1_086_000_000),
    ("messages_thinking.sse", (51, 5071, 0, 62), (500.0, 50.0, 625.0, 2500.0), 434_050_000),
    ("responses.json", (172, 640, 0, 88), (175.0, 17.5, 0.0, 1400.0), 164_500_000),
]
"""`copilot_usage` of recorded answers: tokens and prices of fresh input, cache reads, cache writes and output."""


def usage_of(tokens: tuple[int, int, int, int]) -> Usage:
    fresh, read, write, output = tokens
    total = fresh + read + write
    return Usage(input_tokens=total, cache_read_tokens=read, cache_write_tokens=write, output_tokens=output)


@pytest.mark.parametrize(("name", "tokens", "price", "charged"), RECORDED)
def test_a_charge_is_what_copilot_charged_for_the_same(
    name: str, tokens: tuple[int, int, int, int], price: tuple[float, float, float, float], charged: int
) -> None:
    """To the nano-AIU."""
    names = ("input_price", "cache_price", "cache_write_price", "output_price")
    parsed = parse({"batch_size": 1_000_000, "default": dict(zip(names, price, strict=True))})
    assert parsed.charge(usage_of(tokens)) == charged, name


def test_each_kind_of_token_has_its_price() -> None:
    expected = 300 * 300_000 + 600 * 30_000 + 100 * 375_000 + 200 * 1_500_000
    assert parse(prices()).charge(USAGE) == expected


def test_reasoning_is_output_and_counts_once() -> None:
    assert parse(prices()).charge(Usage(output_tokens=100, reasoning_tokens=90)) == 100 * 1_500_000


def test_more_from_the_cache_than_there_was_input_is_not_paid_back() -> None:
    """Some upstream counts them beside the input, not in it."""
    assert parse(prices()).charge(Usage(input_tokens=10, cache_read_tokens=600)) == 600 * 30_000


@settings(PROPERTY)
@given(PRICE_SETS, USAGES)
def test_a_charge_is_a_whole_number_and_never_negative(price: TokenPrices, usage: Usage) -> None:
    charge = price.charge(usage)
    assert isinstance(charge, int)
    assert charge >= 0


@settings(PROPERTY)
@given(
    PRICE_SETS, PRICE_SETS, st.one_of(st.none(), st.integers(0, 2_000)), st.integers(0, 2_000), st.integers(0, 2_000)
)
def test_an_estimate_is_the_charge_of_what_is_not_cached(
    price: TokenPrices, above: TokenPrices, most: int | None, input_tokens: int, output_tokens: int
) -> None:
    for prices_of in (price, replace(price, context_max=most), replace(price, context_max=most, long_context=above)):
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        assert prices_of.estimate(input_tokens, output_tokens) == prices_of.charge(usage)


# What charges teach -----------------------------------------------------------------------------------------------


def test_of_a_model_of_which_nothing_is_known_nothing_can_be_told() -> None:
    tariff = Tariff()
    assert tariff.find("m", None) is None
    assert tariff.charge("m", None, USAGE) is None


def test_the_catalog_has_the_word() -> None:
    tariff, price = Tariff(), parse(prices())
    tariff.learn("m", USAGE, 1)
    assert tariff.find("m", price) is price
    assert tariff.charge("m", price, USAGE) == price.charge(USAGE)


def test_a_charge_tells_the_price_where_the_catalog_has_none() -> None:
    """Vendors' prices stand in about the same proportions, so one answer tells of any other."""
    tariff, price = Tariff(), parse(prices())
    tariff.learn("m", USAGE, price.charge(USAGE))
    other = Usage(input_tokens=50_000, output_tokens=7_000, cache_read_tokens=40_000)
    assert tariff.charge("m", None, other) == pytest.approx(price.charge(other), rel=1e-6)
    assert tariff.charge("another", None, other) is None


@settings(PROPERTY)
@given(USAGES.filter(lambda usage: usage.input_tokens + usage.output_tokens > 0))
def test_a_learned_price_gives_back_its_own_charge(usage: Usage) -> None:
    tariff = Tariff()
    tariff.learn("m", usage, 123_456_789)
    assert tariff.charge("m", None, usage) == pytest.approx(123_456_789, abs=1)


def test_recorded_charges_teach_a_price_of_the_right_size() -> None:
    """Learned from one recorded answer, the next of the same model is told exactly where its vendor's are Claude's."""
    tariff = Tariff()
    told = {}
    for name, tokens, price, charged in RECORDED:
        told[name] = tariff.charge(str(price), None, usage_of(tokens))
        tariff.learn(str(price), usage_of(tokens), charged)
    assert {name: charge for name, charge in told.items() if charge is not None} == {
        "chat_tool_calls_claude_repeated_ids.sse": 123_960_000,
        "messages.sse": 251_700_000,
        "messages_refusal.sse": 1_086_000_000,
        "messages_thinking.sse": 434_050_000,
    }


def test_a_price_is_learned_from_a_call_of_a_few_tokens_too() -> None:
    tariff = Tariff()
    tariff.learn("m", Usage(input_tokens=4, cache_read_tokens=4), 120_000)
    assert tariff.charge("m", None, Usage(input_tokens=1_000)) == 300_000_000


def test_a_price_that_changes_is_followed_and_one_odd_charge_forgotten() -> None:
    tariff, usage = Tariff(), Usage(input_tokens=1_000)
    tariff.learn("m", usage, 1_000)
    tariff.learn("m", usage, 6_000)
    assert tariff.charge("m", None, usage) == 2_000
    for _ in range(30):
        tariff.learn("m", usage, 4_000)
    assert tariff.charge("m", None, usage) == pytest.approx(4_000, rel=0.01)


def test_a_free_model_is_known_to_be_free() -> None:
    tariff = Tariff()
    tariff.learn("m", USAGE, 0)
    assert tariff.charge("m", None, USAGE) == 0


@pytest.mark.parametrize(
    ("usage", "charge"), [(Usage(), 500), (Usage(input_tokens=-9), 500), (USAGE, -500), (USAGE, 10**300)]
)
def test_a_charge_that_makes_no_sense_teaches_nothing(usage: Usage, charge: int) -> None:
    tariff = Tariff()
    tariff.learn("m", usage, charge)
    assert tariff.find("m", None) is None
    tariff.learn("m", USAGE, 1_000)
    tariff.learn("m", usage, charge)
    assert tariff.charge("m", None, USAGE) == 1_000


def test_what_is_set_aside_for_an_unknown_model_is_a_middling_ones_price() -> None:
    assert parse(prices()) == UNKNOWN_PRICES
