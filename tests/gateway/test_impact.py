"""What a change of the configuration would have done to the calls of the last days."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_api.api.door import Door
from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.errors import GatewayError
from copilot_api.gateway.impact import (
    Effect,
    Impact,
    ImpactQuery,
    Meaning,
    can_serve,
    credits_of,
    preview,
    render_impact,
)
from copilot_api.gateway.plan import Choice, ModelLacksEndpoint, choose, make_plan
from copilot_api.gateway.surface import Surface
from copilot_api.gateway.surfaces import (
    CHAT_SURFACE,
    EMBEDDINGS_SURFACE,
    GEMINI_SURFACE,
    MESSAGES_SURFACE,
    RESPONSES_SURFACE,
)
from copilot_api.keys.models import ANONYMOUS, ApiKey, KeyPolicy, Tier
from copilot_api.protocols.base import Envelope, Usage
from copilot_api.upstream.catalog import Catalog, Model
from copilot_api.upstream.prices import NANO_PER_CREDIT, Tariff, TokenPrices
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.totals import Traffic
from tests.fakes import FakeClock
from tests.gateway.calls import make_model
from tests.stored import open_stored

UNTIL = datetime(2026, 7, 8, 12, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=7)
CHAT = "/v1/chat/completions"


def priced(model: Model, per_token: float, **more: Any) -> Model:
    """A model whose tokens cost so many credits each, answers twice as much, cached ones a tenth."""
    nano = per_token * NANO_PER_CREDIT
    return replace(model, prices=TokenPrices(nano, nano * 2, nano / 10, nano, **more))


CATALOG = Catalog(
    [
        priced(make_model("cheap"), 0.001),
        priced(make_model("dear"), 0.01),
        make_model("unpriced"),
        make_model("unpriced-too"),
        make_model("off", is_enabled=False),
        make_model("embed", "/embeddings"),
    ]
)
CI = ApiKey("key_ci", "ci", Tier.CLIENT, "sk-cap-aaaa", SINCE)
DEV = ApiKey("key_dev", "dev", Tier.CLIENT, "sk-cap-bbbb", SINCE, KeyPolicy(models=("fast", "cheap")))
GONE = ApiKey("key_gone", "gone", Tier.CLIENT, "sk-cap-cccc", SINCE, revoked_at=UNTIL)


def aliased(is_listed_only: bool = False, default: str = "", **names: str | ModelAlias) -> Exposure:
    aliases = {name: ModelAlias(to) if isinstance(to, str) else to for name, to in names.items()}
    return Exposure(aliases, is_listed_only, default)


def calls(model: str = "fast", key: ApiKey = CI, to: str | None = "cheap", number: int = 10, **more: Any) -> Traffic:
    """Calls that were answered by `to`, or refused without it."""
    measured = {"measured_requests": number, "input_tokens": 1000, "output_tokens": 100} if to else {}
    values = {"endpoint": CHAT, "requests": number, **measured, **more}
    return Traffic(key_id=key.id, model=model, upstream_model=to, **values)


def about(before: float, after: float) -> Any:
    """Sums of credits, up to what floating point makes of them."""
    return (pytest.approx(before), pytest.approx(after))


def held(old: Exposure, new: Exposure, *traffic: Traffic, tariff: Tariff | None = None) -> Impact:
    return preview(old, new, CATALOG, [CI, DEV, GONE], traffic, since=SINCE, until=UNTIL, tariff=tariff)


# What becomes of the calls ------------------------------------------------------------------------------------------


def test_without_a_change_nothing_happens() -> None:
    config = aliased(fast="cheap")
    impact = held(config, config, calls(), calls("cheap"), calls("nothing", to=None))
    assert {row.effect for row in impact.rows} == {Effect.SAME}
    assert (impact.keys, impact.differing, impact.nano_aiu_difference, impact.unpriced_requests) == (0, (), 0, 0)


def test_an_alias_of_another_model_changes_the_calls_that_used_it() -> None:
    impact = held(aliased(fast="cheap"), aliased(fast="dear"), calls(), calls("cheap", number=3))
    changed, same = impact.rows
    assert (changed.key_id, changed.label, changed.model, changed.requests) == ("key_ci", "ci", "fast", 10)
    assert (changed.before, changed.after) == (Meaning("cheap"), Meaning("dear"))
    assert (same.model, same.effect) == ("cheap", Effect.SAME)
    assert [impact.count(effect) for effect in Effect] == [0, 10, 0, 3]


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (aliased(), "model_not_found"),
        (aliased(fast=ModelAlias("cheap", is_enabled=False)), "model_not_found"),
        (aliased(fast="nowhere"), "model_not_found"),
        (aliased(fast="off"), "model_not_found"),
        (aliased(fast=ModelAlias("cheap", allowed_keys=("dev",))), "model_not_allowed"),
        (aliased(fast="embed"), "unsupported_api_for_model"),
    ],
)
def test_calls_that_would_fail_say_with_which_error(new: Exposure, error: str) -> None:
    impact = held(aliased(fast="cheap"), new, calls())
    (row,) = impact.rows
    assert (row.effect, row.before, row.after) == (Effect.FAILS, Meaning("cheap"), Meaning(error=error))
    assert (impact.count(Effect.FAILS), impact.keys) == (10, 1)


def test_what_is_listed_only_takes_the_rest_of_the_catalog_away() -> None:
    impact = held(aliased(fast="cheap"), aliased(True, fast="cheap"), calls(), calls("dear", to="dear"))
    assert [(row.model, row.effect) for row in impact.rows] == [("dear", Effect.FAILS), ("fast", Effect.SAME)]


def test_calls_that_failed_may_work() -> None:
    refused = calls("old", to=None, number=4)
    impact = held(aliased(), aliased(old="cheap"), refused)
    (row,) = impact.rows
    assert (row.effect, row.before, row.after) == (
        Effect.WORKS,
        Meaning(error="model_not_found"),
        Meaning("cheap"),
    )
    impact = held(aliased(fast="cheap"), aliased(False, "fast", fast="cheap"), refused)
    assert impact.count(Effect.WORKS) == 4, "the default alias answers for every name"


def test_calls_that_fail_in_another_way_fail_as_before() -> None:
    impact = held(aliased(), aliased(fast=ModelAlias("cheap", allowed_keys=("dev",))), calls(to=None))
    (row,) = impact.rows
    assert (row.effect, row.after.error) == (Effect.SAME, "model_not_allowed")


def test_each_key_fares_by_what_it_may_use() -> None:
    impact = held(aliased(fast="cheap"), aliased(slow="dear"), calls("cheap"), calls("cheap", DEV), calls(key=DEV))
    assert [(row.label, row.model, row.effect) for row in impact.rows] == [
        ("dev", "fast", Effect.FAILS),
        ("ci", "cheap", Effect.SAME),
        ("dev", "cheap", Effect.SAME),
    ]


def test_a_scope_that_is_only_observed_lets_calls_through() -> None:
    watched = replace(DEV, policy=KeyPolicy(models=("x",), observe=("models",)))
    impact = preview(
        aliased(fast="cheap"), aliased(fast="dear"), CATALOG, [watched], [calls(key=DEV)], since=SINCE, until=UNTIL
    )
    assert impact.count(Effect.CHANGES) == 10


def test_a_fallback_answers_where_the_first_model_is_gone() -> None:
    new = aliased(fast=ModelAlias("nowhere", fallback=("off", "embed", "dear")))
    (row,) = held(aliased(fast="cheap"), new, calls()).rows
    assert row.after == Meaning("dear"), "the first that is there, enabled, and has a route"


def test_the_same_name_may_fare_differently_by_endpoint() -> None:
    on_embeddings = calls(to="cheap", endpoint="/v1/embeddings", number=2)
    impact = held(aliased(fast="cheap"), aliased(fast="embed"), calls(), calls(number=1), on_embeddings)
    assert [(row.effect, row.requests) for row in impact.rows] == [(Effect.FAILS, 11), (Effect.WORKS, 2)]


def test_counting_tokens_needs_no_model() -> None:
    counted = calls(to=None, endpoint="/v1/messages/count_tokens")
    assert held(aliased(fast="cheap"), aliased(), counted).rows == ()


def test_keys_that_are_no_longer_valid_are_left_out_and_counted() -> None:
    later = replace(CI, id="key_later", not_before=UNTIL + timedelta(seconds=1))
    ended = replace(CI, id="key_ended", expires_at=UNTIL)
    keys = [CI, GONE, later, ended]
    unknown = replace(CI, id="key_nobody_knows")
    traffic = [calls(key=key, number=3) for key in (*keys, unknown)] + [calls("cheap", GONE, number=1)]
    impact = preview(aliased(fast="cheap"), aliased(), CATALOG, keys, traffic, since=SINCE, until=UNTIL)
    assert [row.key_id for row in impact.rows] == ["key_ci"]
    assert (impact.left_out_keys, impact.left_out_requests) == (4, 13)


def test_everybody_has_a_row_where_authentication_is_off(tmp_path: Path) -> None:
    impact = held(aliased(fast="cheap"), aliased(), replace(calls(), key_id=ANONYMOUS))
    assert [(row.key_id, row.effect) for row in impact.rows] == [("anonymous", Effect.FAILS)]
    with open_stored(tmp_path, FakeClock()) as stored:
        assert Door(stored.keys, FakeClock(), is_open=True)._everybody.id == ANONYMOUS


def test_what_hurts_most_comes_first() -> None:
    old, new = aliased(a="cheap", b="cheap", c="cheap"), aliased(c="dear", d="cheap")
    traffic = [
        calls("cheap", number=99), calls("d", to=None, number=50), calls("c", number=9), calls("a", number=1), calls("b", number=5)
    ]  # fmt: skip
    assert [row.model for row in held(old, new, *traffic).rows] == ["b", "a", "c", "d", "cheap"]


# Preview and reality ------------------------------------------------------------------------------------------------

BODIES: dict[str, tuple[Surface, dict[str, Any]]] = {
    CHAT_SURFACE.endpoint: (CHAT_SURFACE, {"messages": [{"role": "user", "content": "x"}]}),
    RESPONSES_SURFACE.endpoint: (RESPONSES_SURFACE, {"input": "x"}),
    MESSAGES_SURFACE.endpoint: (MESSAGES_SURFACE, {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}),
    GEMINI_SURFACE.endpoint: (GEMINI_SURFACE, {"contents": [{"parts": [{"text": "x"}]}]}),
    EMBEDDINGS_SURFACE.endpoint: (EMBEDDINGS_SURFACE, {"input": "x"}),
}
UPSTREAM = ("/chat/completions", "/responses", "/v1/messages", "/embeddings", "/unknown")


@pytest.mark.parametrize("endpoint", BODIES)
def test_a_model_serves_an_endpoint_where_a_plan_can_be_made(endpoint: str) -> None:
    surface, body = BODIES[endpoint]
    request = surface.parse_request(json.dumps({"model": "m", **body}).encode(), Envelope(model="m"))
    for size in range(len(UPSTREAM) + 1):
        for endpoints in itertools.combinations(UPSTREAM, size):
            model = replace(make_model("m"), endpoints=frozenset(endpoints))
            try:
                make_plan(request, surface, Choice((model,)), model)
            except ModelLacksEndpoint:
                assert not can_serve(model, surface), endpoints
            else:
                assert can_serve(model, surface), endpoints


def test_every_row_says_what_a_call_would_get() -> None:
    """Over every pairing of some exposures, keys and names."""
    exposures = [
        aliased(), aliased(True, fast="cheap"), aliased(False, "fast", fast="dear"), aliased(fast=ModelAlias("cheap", allowed_keys=("ci",))),
        aliased(cheap=ModelAlias("dear", is_enabled=False)), aliased(fast=ModelAlias("off", fallback=("cheap",))),
    ]  # fmt: skip
    names = ["fast", "cheap", "dear", "off", "unknown"]
    for old, new, key, name in itertools.product(exposures, exposures, [CI, DEV], names):
        (row,) = held(old, new, calls(name, key)).rows
        assert (row.before, row.after) == (chosen(name, key, old), chosen(name, key, new))


def chosen(name: str, key: ApiKey, exposure: Exposure) -> Meaning:
    """What a call would get, in the words of a preview."""
    try:
        return Meaning(choose(name, key, CATALOG, exposure).models[0].id)
    except GatewayError as error:
        return Meaning(error=error.public_code)


# Credits ------------------------------------------------------------------------------------------------------------


def test_a_change_of_model_costs_the_difference_of_the_prices() -> None:
    cached = calls(cache_read_tokens=500)
    impact = held(aliased(fast="cheap"), aliased(fast="dear"), cached, calls(key=DEV, nano_aiu=7))
    assert [credits_of(row) for row in impact.rows] == [
        about(0.75, 7.5),
        about(1.2, 12.0),
    ]
    assert impact.nano_aiu_difference / NANO_PER_CREDIT == pytest.approx(6.75 + 10.8)


def test_a_call_that_fails_costs_nothing() -> None:
    impact = held(aliased(fast="dear"), aliased(), calls(to="dear"))
    assert credits_of(impact.rows[0]) == about(12.0, 0.0)
    assert impact.nano_aiu_difference / NANO_PER_CREDIT == pytest.approx(-12.0)


def test_what_a_call_would_have_used_that_was_refused_nobody_knows() -> None:
    impact = held(aliased(), aliased(fast="cheap"), calls(to=None))
    assert credits_of(impact.rows[0]) == (None, None)
    assert (impact.nano_aiu_difference, impact.unpriced_requests) == (0, 10)


def test_a_model_without_a_price_costs_what_was_charged_for_it() -> None:
    charged = calls(to="unpriced", nano_aiu=3 * NANO_PER_CREDIT)
    impact = held(aliased(fast="unpriced"), aliased(fast="cheap"), charged)
    assert credits_of(impact.rows[0]) == about(3.0, 1.2)


@pytest.mark.parametrize("charge", [None, 3 * NANO_PER_CREDIT])
def test_what_has_no_price_is_not_in_the_difference_and_that_is_said(charge: int | None) -> None:
    went = calls(to="unpriced", nano_aiu=charge)
    impact = held(aliased(fast="unpriced"), aliased(fast="unpriced-too"), went)
    assert credits_of(impact.rows[0]) == (None, None)
    assert (impact.nano_aiu_difference, impact.unpriced_requests) == (0, 10)


def test_what_stays_the_same_needs_no_price() -> None:
    impact = held(aliased(fast="unpriced"), aliased(fast="unpriced"), calls(to="unpriced"))
    assert (impact.nano_aiu_difference, impact.unpriced_requests) == (0, 0)


def test_a_running_gateway_knows_prices_that_the_catalog_has_not() -> None:
    tariff = Tariff()
    tariff.learn("unpriced", Usage(input_tokens=1000), NANO_PER_CREDIT)
    impact = held(aliased(fast="cheap"), aliased(fast="unpriced"), calls(), tariff=tariff)
    assert credits_of(impact.rows[0]) == about(1.2, 1.5)


def test_calls_whose_usage_is_not_known_are_not_in_the_sums() -> None:
    impact = held(aliased(fast="cheap"), aliased(fast="dear"), calls(measured_requests=6))
    (row,) = impact.rows
    assert (row.requests, row.priced_requests, impact.unpriced_requests) == (10, 6, 4)
    assert credits_of(row) == about(1.2, 12.0)


@pytest.mark.parametrize(("tokens", "per_call"), [(1000, 0.1), (1001, 1.001)])
def test_long_prompts_have_a_price_of_their_own_by_the_mean_of_the_calls(tokens: int, per_call: float) -> None:
    """The sum of many short prompts is no long one."""
    base = priced(make_model("tiered"), 0.0001).prices
    long_prices = priced(make_model("tiered"), 0.001).prices
    assert base is not None
    model = replace(make_model("tiered"), prices=replace(base, context_max=1000, long_context=long_prices))
    many = calls(to="tiered", input_tokens=10 * tokens, output_tokens=0)
    impact = preview(
        aliased(fast="tiered"), aliased(), Catalog([model]), [CI], [many], since=SINCE, until=UNTIL
    )  # fmt: skip
    assert credits_of(impact.rows[0])[0] == pytest.approx(10 * per_call)


# For programs -------------------------------------------------------------------------------------------------------


def test_programs_get_rows_totals_and_what_was_left_out() -> None:
    impact = held(aliased(fast="cheap"), aliased(fast="dear"), calls(), calls("cheap", GONE, number=2))
    document = render_impact(impact)
    assert json.loads(json.dumps(document)) == document
    assert (document["since"], document["until"]) == ("2026-07-01T12:00:00+00:00", "2026-07-08T12:00:00+00:00")
    assert document["rows"] == [
        {
            "key_id": "key_ci",
            "label": "ci",
            "model": "fast",
            "effect": "changes",
            "before": {"model": "cheap", "error": None},
            "after": {"model": "dear", "error": None},
            "requests": 10,
            "priced_requests": 10,
            "credits_before": pytest.approx(1.2),
            "credits_after": pytest.approx(12.0),
        }
    ]
    assert document["total"] == {
        "requests": 10,
        "fails": 0,
        "changes": 10,
        "works": 0,
        "same": 0,
        "keys": 1,
        "credits_difference": pytest.approx(10.8),
        "unpriced_requests": 0,
    }
    assert document["left_out"] == {"keys": 1, "requests": 2}


def test_what_is_stored_is_what_a_change_is_held_against(tmp_path: Path) -> None:
    clock = FakeClock(UNTIL - timedelta(hours=1))
    with open_stored(tmp_path, clock) as stored:
        key = stored.keys.issue("ci", actor="test").key
        stored.usage.add_events(
            [
                UsageEvent(
                    request_id=str(days), at=(UNTIL - timedelta(days=days)).isoformat(), key_id=key.id, identity_id="default",
                    endpoint=CHAT, model="fast", upstream_model="cheap", cause=Cause.OK, status=200, input_tokens=1000,
                )
                for days in (1, 2, 7, 8)
            ]
        )  # fmt: skip
        query = ImpactQuery(stored.keys, stored.usage)
        impact = query.run(aliased(fast="cheap"), aliased(fast="dear"), CATALOG, SINCE, UNTIL)
    (row,) = impact.rows
    assert (row.requests, row.label, row.effect) == (3, "ci", Effect.CHANGES)
    assert credits_of(row) == about(3.0, 30.0)
