"""The journal as far as it is about one key: events on their way into the ledger, of gateways that run or do not."""

from collections.abc import Callable, Iterator
from pathlib import Path

from copilot_api.errors import StorageUnavailable
from copilot_api.observability.events import Observation
from copilot_api.usage.journal import END, list_records
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.recorder import UsageRecorder
from copilot_api.usage.repository import UsageRepository

_DRAIN_SECONDS = 60.0


def bring_in(directory: Path, ledger: UsageRepository, *, name: str) -> None:
    """
    Bring what processes that are gone have left into the ledger, as the next gateway would, and delete their files.

    What a running gateway writes stays: it brings it in itself. Raises `StorageUnavailable`.
    """
    if not any(directory.glob("*.journal")):
        return
    recorder = UsageRecorder(ledger, directory, _pass_over, name=name)
    recorder.start()
    recorder.stop(_DRAIN_SECONDS)
    if recorder.storage_failure is not None:
        raise StorageUnavailable(f"the journal cannot be brought into the database: {recorder.storage_failure}")


def count_lines(directory: Path, key_id: str) -> int:
    """How many lines of the journal are about a key."""
    return sum(event.key_id == key_id for _, event in list_records(directory))


def list_waiting(
    directory: Path, key_id: str, list_stored: Callable[[list[str]], set[str]], *, portion: int = 500
) -> Iterator[UsageEvent]:
    """The ended calls of a key that are in the journal and not in the ledger yet, each once."""
    seen = set[str]()
    waiting: list[UsageEvent] = []
    for kind, event in list_records(directory):
        if kind == END and event.key_id == key_id and event.request_id not in seen:
            seen.add(event.request_id)
            waiting.append(event)
        if len(waiting) >= portion:
            yield from _unstored(waiting, list_stored)
            waiting = []
    yield from _unstored(waiting, list_stored)


def count_under_way(directory: Path, key_id: str) -> int:
    """How many calls of a key have begun, and have not ended as far as the journal says."""
    begun, ended = set[str](), set[str]()
    for kind, event in list_records(directory):
        if event.key_id == key_id:
            (ended if kind == END else begun).add(event.request_id)
    return len(begun - ended)


def _unstored(events: list[UsageEvent], list_stored: Callable[[list[str]], set[str]]) -> Iterator[UsageEvent]:
    stored = list_stored([event.request_id for event in events]) if events else set[str]()
    return (event for event in events if event.request_id not in stored)


def _pass_over(observation: Observation) -> None:
    """What there is to say of it is raised."""
