"""What changes of Copilot's catalog is told once, and a database that is away disturbs nobody."""

import asyncio
import copy
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copilot_api.errors import GatewayError, StorageUnavailable
from copilot_api.simulator.replies import load_document
from copilot_api.upstream.catalog import Catalog, parse_catalog
from copilot_api.upstream.drift import (
    CONFIRM_AFTER,
    CatalogChange,
    ChangeKind,
    DriftKeeper,
    StoredCatalog,
    compare,
    summarise,
)
from tests.fakes import FakeClock

AT = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
ENTRY: dict[str, Any] = {
    "id": "m",
    "name": "Model",
    "supported_endpoints": ["/chat/completions", "/responses"],
    "policy": {"state": "enabled"},
    "capabilities": {
        "limits": {"max_prompt_tokens": 128000, "max_output_tokens": 16384},
        "supports": {"reasoning_effort": ["low", "high"]},
    },
    "billing": {
        "multiplier": 1,
        "token_prices": {
            "batch_size": 1000000,
            "default": {"input_price": 200, "output_price": 800, "cache_read_price": 20, "max_prompt_tokens": 1000},
            "long_context": {"input_price": 400, "output_price": 1600},
        },
    },
}


def catalog(*entries: dict[str, Any]) -> Catalog:
    return parse_catalog({"data": list(entries)})


def edited(path: str, value: object) -> dict[str, Any]:
    """The entry with another value at a place in it."""
    entry = copy.deepcopy(ENTRY)
    *way, last = path.split(".")
    place = entry
    for step in way:
        place = place[step]
    place[last] = value
    return entry


def changed(old: Catalog, new: Catalog) -> list[tuple[str, str, str, str]]:
    changes = compare(old, new, AT)
    assert all(change.at == AT for change in changes)
    return [(change.model, change.kind.value, change.before, change.after) for change in changes]


# Comparing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "kind", "before", "after"),
    [
        ("policy.state", "disabled", "disabled", "enabled", "disabled"),
        ("supported_endpoints", ["/responses"], "endpoints", "/chat/completions, /responses", "/responses"),
        ("supported_endpoints", [], "endpoints", "/chat/completions, /responses", ""),
        (
            "capabilities.limits.max_prompt_tokens",
            64000,
            "limits",
            "prompt 128,000, output 16,384",
            "prompt 64,000, output 16,384",
        ),
        ("capabilities.limits", {}, "limits", "prompt 128,000, output 16,384", ""),
        ("capabilities.supports.max_thinking_budget", 9, "limits", "prompt 128,000, output 16,384", "prompt 128,000, output 16,384, most thinking 9"),
        ("billing.multiplier", 0.33, "multiplier", "1x", "0.33x"),
        ("capabilities.supports.reasoning_effort", ["low"], "efforts", "low, high", "low"),
        (
            "billing.token_prices.default.output_price",
            900,
            "prices",
            "input 200, output 800, cache read 20, cache write 200; above 1,000: input 400, output 1600, cache read 400, cache write 400",
            "input 200, output 900, cache read 20, cache write 200; above 1,000: input 400, output 1600, cache read 400, cache write 400",
        ),
    ],
)  # fmt: skip
def test_each_kind_of_change_is_told_with_before_and_after(
    path: str, value: object, kind: str, before: str, after: str
) -> None:
    old, new = catalog(ENTRY), catalog(edited(path, value))
    assert changed(old, new) == [("m", kind, before, after)]
    opposite = {"disabled": "enabled"}.get(kind, kind)
    assert changed(new, old) == [("m", opposite, after, before)]


def test_prices_that_come_and_go_and_those_of_long_prompts_are_changes() -> None:
    without = edited("billing.token_prices", None)
    assert [(kind, before) for _, kind, before, _ in changed(catalog(without), catalog(ENTRY))] == [("prices", "")]
    cheaper = edited("billing.token_prices.long_context.input_price", 300)
    ((_, kind, before, after),) = changed(catalog(ENTRY), catalog(cheaper))
    assert (kind, before.endswith("400, cache write 400"), "input 300" in after) == ("prices", True, True)


def test_models_that_are_new_and_gone_are_told_by_name() -> None:
    old, new = catalog({"id": "a", "name": "A"}, {"id": "b"}), catalog({"id": "c", "name": "C"}, {"id": "b"})
    assert changed(old, new) == [("c", "added", "", "C"), ("a", "gone", "A", "")]


def test_what_reads_the_same_is_no_change() -> None:
    same = [
        ENTRY,
        edited("unknown", {"x": 1}),
        edited("name", "Another name"),
        edited("supported_endpoints", ["/responses", "/chat/completions", "ws:/responses"]),
        edited("policy", {"state": "enabled", "terms": "new"}),
    ]
    for entry in same:
        assert changed(catalog(ENTRY), catalog(entry)) == []
    batches = edited("billing.token_prices", {
        "batch_size": 500000,
        "default": {"input_price": 100, "output_price": 400, "cache_read_price": 10, "max_prompt_tokens": 1000},
        "long_context": {"input_price": 200, "output_price": 800},
    })  # fmt: skip
    assert changed(catalog(ENTRY), catalog(batches)) == []
    reordered = load_document("models.json")["data"]
    assert changed(catalog(*reordered), catalog(*reversed(reordered))) == []


def test_texts_are_short_whatever_a_catalog_holds() -> None:
    long = {"id": "m" * 5000, "name": "n" * 5000, "supported_endpoints": ["/" + "e" * 5000]}
    (change,) = compare(catalog(), catalog(long), AT)
    assert max(len(text) for text in (change.model, change.before, change.after)) == 200
    (change,) = compare(catalog(long), catalog({**long, "supported_endpoints": []}), AT)
    assert len(change.before) == 200


def test_a_summary_names_the_kinds_and_the_first_few_models_of_each() -> None:
    changes = [CatalogChange(AT, f"m{number}", ChangeKind.ADDED) for number in range(7)]
    changes.insert(0, CatalogChange(AT, "x", ChangeKind.PRICES))
    assert summarise(changes) == "added: m0, m1, m2, m3, m4 and 2 more; prices: x"
    assert summarise([]) == ""


# Keeping ----------------------------------------------------------------------------------------------------------


class MemoryCatalogs:
    """A `CatalogRepository` in memory that fails when it is told to."""

    def __init__(self) -> None:
        self.latest: StoredCatalog | None = None
        self.changes: list[CatalogChange] = []
        self.recorded = 0
        self.failure: Exception | None = None
        self.threads: set[str] = set()

    def _may_fail(self) -> None:
        self.threads.add(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure

    def find_latest(self) -> StoredCatalog | None:
        self._may_fail()
        return self.latest

    def record(self, document: list[Any], at: datetime, changes: Sequence[CatalogChange]) -> None:
        self._may_fail()
        self.latest = StoredCatalog(document, at)
        self.changes += changes
        self.recorded += 1

    def list_changes(self, since: datetime, limit: int, until: datetime | None = None) -> list[CatalogChange]:
        return [change for change in self.changes[::-1] if change.at >= since][:limit]


class Process:
    """A gateway, as far as it has to do with drift."""

    def __init__(self, repository: MemoryCatalogs, clock: FakeClock) -> None:
        self.repository = repository
        self.clock = clock
        self.drifted: list[list[CatalogChange]] = []
        self.failures: list[GatewayError] = []
        self.keeper = self._make_keeper()

    def _make_keeper(self) -> DriftKeeper:
        return DriftKeeper(self.repository, self.clock, on_drifted=self.drifted.append, on_failed=self.failures.append)

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        """In a loop of its own, which a keeper belongs to."""

        async def main() -> None:
            self.keeper = self._make_keeper()
            keeping = asyncio.get_running_loop().create_task(self.keeper.run())
            try:
                await test()
                assert not keeping.done(), "it runs for ever"
            finally:
                keeping.cancel()

        asyncio.run(main())

    def read(self, *readings: list[dict[str, Any]]) -> None:
        """One reading after the other, each stored before the next."""

        async def test() -> None:
            for entries in readings:
                document = {"data": entries, "object": "list"}
                self.keeper.read(document, parse_catalog(document))
                await asyncio.sleep(0.03)
                self.clock.advance(600)

        self.run(test)


@pytest.fixture
def repository() -> MemoryCatalogs:
    return MemoryCatalogs()


@pytest.fixture
def process(repository: MemoryCatalogs) -> Process:
    return Process(repository, FakeClock())


A, B = {"id": "a"}, {"id": "b"}


def test_the_first_catalog_ever_is_where_it_begins(process: Process, repository: MemoryCatalogs) -> None:
    began = process.clock.now()
    process.read([A, B])
    assert repository.latest == StoredCatalog([A, B], began)
    assert (process.drifted, repository.changes) == ([], [])


def test_a_change_is_stored_and_told_once(process: Process, repository: MemoryCatalogs) -> None:
    process.read([A], [A, B], [A, B], [B])
    kinds = [[(change.model, change.kind) for change in changes] for changes in process.drifted]
    assert kinds == [[("b", ChangeKind.ADDED)], [("a", ChangeKind.GONE)]]
    assert repository.changes == [change for changes in process.drifted for change in changes]
    assert repository.recorded == 3
    assert repository.latest is not None
    assert repository.latest.document == [B]


def test_when_nothing_changed_nothing_is_written(process: Process, repository: MemoryCatalogs) -> None:
    process.read(*[[A, B]] * 5)
    assert repository.recorded == 1


def test_once_a_day_it_is_stored_again_so_that_its_age_can_be_told(
    process: Process, repository: MemoryCatalogs
) -> None:
    process.read([A])
    process.clock.advance(CONFIRM_AFTER.total_seconds())
    later = process.clock.now()
    process.read([{**A, "unknown": 1}], [A])
    assert repository.latest == StoredCatalog([{**A, "unknown": 1}], later)
    assert (repository.recorded, process.drifted) == (2, [])
    assert timedelta(hours=1) < CONFIRM_AFTER < timedelta(days=2)


def test_after_a_restart_it_is_compared_with_what_was_stored(process: Process, repository: MemoryCatalogs) -> None:
    process.read([A])
    restarted = Process(repository, process.clock)
    restarted.read([A])
    assert (restarted.drifted, repository.recorded) == ([], 1)
    restarted = Process(repository, process.clock)
    restarted.read([B])
    assert summarise(restarted.drifted[0]) == "added: b; gone: a"


def test_a_database_that_is_away_is_reported_and_nothing_is_lost(process: Process, repository: MemoryCatalogs) -> None:
    process.read([A])
    repository.failure = StorageUnavailable("locked")
    process.read([A, B], [A, B])
    assert [error.message for error in process.failures] == ["locked", "locked"]
    assert process.drifted == []
    repository.failure = None
    process.read([A, B])
    assert summarise(process.drifted[0]) == "added: b"


def test_a_surprise_is_reported_too_and_ends_nothing(process: Process, repository: MemoryCatalogs) -> None:
    repository.failure = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    process.read([A], [A])
    assert [type(error) for error in process.failures] == [StorageUnavailable] * 2
    assert "UnicodeEncodeError" in process.failures[0].message


def test_what_blocks_is_done_in_a_thread(process: Process, repository: MemoryCatalogs) -> None:
    process.read([A], [B])
    assert threading.main_thread().name not in repository.threads


def test_of_readings_that_wait_the_newest_is_stored(process: Process, repository: MemoryCatalogs) -> None:
    async def test() -> None:
        for number in range(5):
            document = {"data": [{"id": str(number)}]}
            process.keeper.read(document, parse_catalog(document))
        await asyncio.sleep(0.03)

    process.run(test)
    assert repository.latest is not None
    assert repository.latest.document == [{"id": "4"}]


@pytest.mark.parametrize("document", [{}, {"data": None}, {"data": {}}])
def test_an_answer_without_models_is_an_empty_catalog(
    process: Process, repository: MemoryCatalogs, document: dict[str, Any]
) -> None:
    process.read([A])

    async def test() -> None:
        process.keeper.read(document, parse_catalog(document))
        await asyncio.sleep(0.03)

    process.run(test)
    assert summarise(process.drifted[0]) == "gone: a"
    assert repository.latest is not None
    assert repository.latest.document == []
