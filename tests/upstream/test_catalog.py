import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from copilot_api.errors import CatalogUnavailable, GatewayError, UpstreamFailed, UpstreamUnauthorized
from copilot_api.simulator.replies import load_document
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.catalog import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    REFRESH_SECONDS,
    RESPONSES,
    RETRY_SECONDS,
    Catalog,
    CatalogKeeper,
    parse_catalog,
)
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.hosts import Hosts
from tests.upstream.virtual import VirtualClock, run_virtually

RECORDED = parse_catalog(load_document("models.json"))


def parse(*entries: object) -> Catalog:
    return parse_catalog({"data": list(entries)})


# Entries ----------------------------------------------------------------------------------------------------------


def test_every_recorded_model_is_read() -> None:
    assert [model.id for model in RECORDED.models] == [entry["id"] for entry in load_document("models.json")["data"]]


@pytest.mark.parametrize(
    ("name", "endpoints", "is_enabled", "multiplier"),
    [
        ("gpt-4.1", {CHAT}, True, 0.0),
        ("gpt-5-mini", {CHAT, RESPONSES}, True, 0.0),
        ("gpt-5.3-codex", {RESPONSES}, True, 1.0),
        ("claude-haiku-4.5", {CHAT, MESSAGES}, True, 0.33),
        ("claude-opus-4.7", {CHAT, MESSAGES}, False, 3.0),
        ("grok-code-fast-1", {CHAT}, False, 0.25),
        ("text-embedding-3-small", {EMBEDDINGS}, True, 0.0),
        ("gpt-41-copilot", set(), True, 0.0),
    ],
)
def test_what_a_model_speaks_costs_and_whether_it_is_on(
    name: str, endpoints: set[str], is_enabled: bool, multiplier: float
) -> None:
    model = RECORDED.find(name)
    assert model is not None
    assert model.endpoints == endpoints
    assert (model.is_enabled, model.multiplier) == (is_enabled, multiplier)


def test_an_entry_needs_nothing_but_its_id() -> None:
    (model,) = parse({"id": "m"}).models
    assert (model.id, model.name, model.vendor, model.type) == ("m", "m", "", "chat")
    assert model.endpoints == {CHAT}
    assert model.is_enabled
    assert model.multiplier == 0.0


def test_what_is_null_counts_as_missing() -> None:
    entry = {
        "id": "m",
        "name": None,
        "vendor": None,
        "capabilities": {"type": None, "supports": None},
        "supported_endpoints": None,
        "policy": {"state": None},
        "billing": {"multiplier": None, "is_premium": None},
    }
    (model,) = parse(entry).models
    assert model.endpoints == {CHAT}
    assert model.is_enabled


def test_of_entries_with_the_same_id_the_first_counts() -> None:
    catalog = parse({"id": "m", "name": "first"}, {"id": "n"}, {"id": "m", "name": "second"})
    assert [model.name for model in catalog.models] == ["first", "n"]
    found = catalog.find("m")
    assert found is not None
    assert found.name == "first"


def test_an_entry_that_cannot_be_read_hides_no_other() -> None:
    catalog = parse(None, 5, "m", [], {}, {"id": 5}, {"id": None}, {"id": "bad", "capabilities": 5}, {"id": "good"})
    assert [model.id for model in catalog.models] == ["good"]


@pytest.mark.parametrize("document", [{}, {"data": None}, {"data": {}}, {"data": "models"}, {"models": []}])
def test_a_document_without_entries_is_an_empty_catalog(document: dict[str, Any]) -> None:
    assert parse_catalog(document).models == []


def test_only_what_goes_over_http_is_an_endpoint() -> None:
    (model,) = parse({"id": "m", "supported_endpoints": ["/responses", "ws:/responses", ""]}).models
    assert model.endpoints == {RESPONSES}


def test_a_model_that_lists_no_endpoint_has_none() -> None:
    (model,) = parse({"id": "m", "supported_endpoints": []}).models
    assert model.endpoints == frozenset()


# Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        ("claude-sonnet-4.5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
        ("claude-opus-4-7", "claude-opus-4.7"),
        ("claude-sonnet-4-20250514", None),
        ("claude-sonnet-4", None),
        ("claude-sonnet-45", None),
        ("gpt-4-1", None),
        ("GPT-4.1", None),
        ("gpt-4.1-20250414", None),
        ("", None),
    ],
)
def test_anthropics_own_spelling_of_its_models_is_understood_and_nothing_else_is_guessed(
    name: str, model_id: str | None
) -> None:
    found = RECORDED.find(name)
    assert (found.id if found else None) == model_id


def test_an_old_spelling_with_the_version_first_is_understood() -> None:
    found = parse({"id": "claude-3.5-sonnet"}).find("claude-3-5-sonnet-20241022")
    assert found is not None
    assert found.id == "claude-3.5-sonnet"


# Keeping it -------------------------------------------------------------------------------------------------------


class ScriptedGitHub(GitHub):
    """Answers each reading of the catalog with the next outcome; the last one stays."""

    def __init__(self, *outcomes: list[str] | GatewayError) -> None:
        self.hosts = Hosts()
        self.bearers: list[str] = []
        self.times: list[float] = []
        self._outcomes = list(outcomes)

    async def fetch_models(self, api: str, bearer: str) -> dict[str, Any]:
        self.bearers.append(bearer)
        self.times.append(asyncio.get_running_loop().time())
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        await asyncio.sleep(0.1)
        if isinstance(outcome, GatewayError):
            raise outcome
        return {"data": [{"id": name} for name in outcome]}


class FixedSessions(CopilotSessions):
    """Has a session, and another one after it was refused."""

    def __init__(self, github: GitHub, clock: VirtualClock) -> None:
        super().__init__(github, None, clock)
        self.failing: GatewayError | None = None
        self._bearers = 0

    async def get(self) -> CopilotSession:
        if self.failing is not None:
            raise self.failing
        return CopilotSession(f"tid={self._bearers}", "https://api.example", float("inf"), float("inf"))

    async def renew_after(self, refused: CopilotSession) -> None:
        self._bearers += 1


@contextlib.asynccontextmanager
async def keeping(github: GitHub, clock: VirtualClock) -> AsyncGenerator[tuple[CatalogKeeper, FixedSessions]]:
    sessions = FixedSessions(github, clock)
    keeper = CatalogKeeper(github, sessions)
    reading = asyncio.get_running_loop().create_task(keeper.run())
    try:
        yield keeper, sessions
    finally:
        reading.cancel()


def test_a_call_right_after_the_start_waits_for_the_first_reading() -> None:
    async def test(clock: VirtualClock) -> None:
        async with keeping(ScriptedGitHub(["m"]), clock) as (keeper, _):
            assert not keeper.is_known
            with pytest.raises(CatalogUnavailable):
                _ = keeper.current
            await keeper.wait_known(5)
            assert keeper.current.find("m") is not None

    run_virtually(test)


def test_nobody_waits_longer_than_it_takes_to_fail() -> None:
    async def test(clock: VirtualClock) -> None:
        async with keeping(ScriptedGitHub(UpstreamFailed("it is down")), clock) as (keeper, _):
            began = clock.monotonic()
            await keeper.wait_known(5)
            assert clock.monotonic() - began < 1
            with pytest.raises(CatalogUnavailable, match="it is down") as raised:
                _ = keeper.current
            assert raised.value.retry_after

    run_virtually(test)


def test_it_is_read_again_every_now_and_then() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(["old"], ["new"])
        async with keeping(github, clock) as (keeper, _):
            await asyncio.sleep(REFRESH_SECONDS + 1)
            assert [model.id for model in keeper.current.models] == ["new"]
            assert len(github.times) == 2

    run_virtually(test)


def test_the_old_one_stays_when_a_reading_fails_and_the_next_comes_soon() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(["old"], UpstreamFailed("it is down"), ["new"])
        async with keeping(github, clock) as (keeper, _):
            await asyncio.sleep(REFRESH_SECONDS + 1)
            assert [model.id for model in keeper.current.models] == ["old"]
            assert keeper.failure is not None
            await asyncio.sleep(RETRY_SECONDS + 1)
            assert [model.id for model in keeper.current.models] == ["new"]

    run_virtually(test)


def test_without_a_token_the_reason_is_the_tokens() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(["m"])
        async with keeping(github, clock) as (keeper, sessions):
            sessions.failing = UpstreamUnauthorized("bad credentials")
            await keeper.wait_known(5)
            with pytest.raises(CatalogUnavailable, match="bad credentials"):
                _ = keeper.current
            sessions.failing = None
            await asyncio.sleep(RETRY_SECONDS + 1)
            assert keeper.is_known

    run_virtually(test)


def test_a_refused_token_is_renewed() -> None:
    """Otherwise the same token would be refused again and again, until its time comes."""

    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(UpstreamUnauthorized("token expired"), ["m"])
        async with keeping(github, clock) as (keeper, _):
            await asyncio.sleep(RETRY_SECONDS + 1)
            assert keeper.is_known
            assert github.bearers == ["tid=0", "tid=1"]

    run_virtually(test)


def test_each_reading_that_succeeds_is_told_as_it_came_and_as_it_was_understood() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(["old"], UpstreamFailed("it is down"), ["new"])
        told: list[tuple[dict[str, Any], Catalog]] = []
        keeper = CatalogKeeper(
            github, FixedSessions(github, clock), on_read=lambda document, catalog: told.append((document, catalog))
        )
        reading = asyncio.get_running_loop().create_task(keeper.run())
        await asyncio.sleep(REFRESH_SECONDS + RETRY_SECONDS + 2)
        assert [document for document, _ in told] == [{"data": [{"id": "old"}]}, {"data": [{"id": "new"}]}]
        assert told[-1][1] is keeper.current
        reading.cancel()

    run_virtually(test)
