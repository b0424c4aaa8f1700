"""
From journal to database, behind the calls.

`begin` and `end` are on the way of every call and only append to the journal. A thread of its own reads the journal and
brings it into the database in batches; the journal is the queue, so memory stays bounded however long the database is
away, and nothing is kept twice. A segment is deleted when every call in it has ended and is stored.

Each event's request id is its key in the database and a known one is ignored, so a segment that is read again after a
crash changes nothing.

Where the journal itself cannot be written (a full disk), events wait in memory, up to `MAX_BACKLOG`; what does not
fit is counted as lost and said so, loudly.
"""

import gc
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from copilot_api.errors import GatewayError
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import (
    EventsLost,
    JournalBroken,
    JournalRecovered,
    Observer,
    UsageStorageBroken,
    UsageStorageRecovered,
)
from copilot_api.usage.journal import (
    BEGIN,
    END,
    JournalWriter,
    Segment,
    adopt_segments,
    list_records,
    parse_event,
    parse_request_id,
)
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.repository import UsageRepository

DRAIN_SECONDS = 0.1
BATCH_EVENTS = 20_000
"""At most so many are stored in one transaction, which keeps the database from other writers for about a second."""
MAX_BACKLOG = 10_000
MAX_PAUSE_SECONDS = 5.0
LAST_USED_EVERY = 20
"""Last-used times are stored every so many rounds: they are for people, who read them by the minute."""


class UsageRecorder:
    """See the module. `start` before the first call, `stop` after the last."""

    def __init__(
        self,
        repository: UsageRepository,
        directory: Path,
        observe: Observer,
        *,
        name: str,
        store_last_used: Callable[[], None] = lambda: None,
    ) -> None:
        self._repository = repository
        self._directory = directory
        self._observe = observe
        self._name = name
        self._store_last_used = store_last_used
        self._writer = JournalWriter(directory, name=name)
        self._backlog: deque[UsageEvent] = deque()
        self._adopted: list[Segment] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usage-recorder", daemon=True)
        self._round = threading.Lock()
        self._rounds = 0
        self._is_journal_broken = False
        self._caught_up = threading.Event()
        self.lost = 0
        """Events that could be kept nowhere."""
        self.stored = 0
        """Events brought into the database by this process."""
        self.storage_failure: str | None = None
        """Why the database could not be written in the last round; None when it could."""

    # On the way of every call -----------------------------------------------------------------------------------

    def begin(self, event: UsageEvent) -> None:
        """A call is dispatched. `event` says what to store if we never get to say how it ended."""
        try:
            self._writer.append(BEGIN, event)
        except OSError as error:
            self._journal_failed(error)

    def end(self, event: UsageEvent) -> None:
        """A call has ended; to be called before its answer does."""
        try:
            self._writer.append(END, event)
        except OSError as error:
            self._journal_failed(error)
            if len(self._backlog) >= MAX_BACKLOG:
                self.lost += 1
                if self.lost == 1 or self.lost % 1000 == 0:
                    self._observe(EventsLost(self.lost))
            else:
                self._backlog.append(event)
        else:
            if self._is_journal_broken:
                self._is_journal_broken = False
                self._observe(JournalRecovered())

    def _journal_failed(self, error: OSError) -> None:
        if not self._is_journal_broken:
            self._is_journal_broken = True
            self._observe(JournalBroken(str(error)))

    # Behind the calls -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring in what earlier processes left, then whatever comes."""
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Store what is journalled, then end. What cannot be stored now waits in the journal for the next start."""
        self._stop.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            return
        if not self.drain():
            self._save_backlog()
        self._writer.close()
        self._remove_finished()
        for segment in [*self._adopted, *self._writer.segments]:
            segment.close()

    def _save_backlog(self) -> None:
        """What only we still have goes to the journal if that can be written again, else it is lost, and said to be."""
        for segment in self._writer.segments:
            if segment.is_deleted:
                self._writer.rotate()
                ended = (parse_event(body) for kind, body, _ in segment.read() if kind == END)
                self._backlog += [event for event in ended if event is not None]
        while self._backlog:
            try:
                self._writer.append(END, self._backlog[0])
            except OSError:
                self.lost += len(self._backlog)
                self._observe(EventsLost(self.lost))
                return
            self._backlog.popleft()

    def wait_caught_up(self, seconds: float) -> bool:
        """Wait until what earlier processes left is in the database; says whether it is. Blocks."""
        return self._caught_up.wait(seconds)

    def forget_key(self, key_id: str) -> int:
        """
        Take out of our journal what it still says of a key's calls that are in the database. Says how many lines those
        were. Blocks. Raises `OSError`.
        """
        with self._round:
            return sum(segment.blank(key_id) for segment in [*self._adopted, *self._writer.segments])

    def list_key_ids(self) -> set[str]:
        """Whose calls our journal tells of, in the database or not. Blocks."""
        return {event.key_id for _, event in list_records(self._directory) if event.key_id is not None}

    @property
    def waiting_bytes(self) -> int:
        """How much of the journal is not in the database yet."""
        return sum(segment.waiting_bytes for segment in [*self._adopted, *self._writer.segments])

    @property
    def failure(self) -> str | None:
        """What keeps events from the ledger right now, in words; None when nothing does."""
        if self._is_journal_broken:
            return "the usage journal cannot be written"
        if self.storage_failure is not None:
            return f"usage events cannot be stored: {self.storage_failure}"
        return None

    def _run(self) -> None:
        self._adopted = adopt_segments(self._directory, self._name)
        pause = DRAIN_SECONDS
        while not self._stop.wait(pause):
            pause = DRAIN_SECONDS if self.drain() else min(MAX_PAUSE_SECONDS, pause * 2)

    def drain(self) -> bool:
        """One round: everything journalled so far into the database. False when the database could not be written."""
        with self._round:
            try:
                self._drain_adopted()
                self._drain_own()
                self._drain_backlog()
                self._rounds += 1
                self._caught_up.set()
                if self._rounds % LAST_USED_EVERY == 0 or self._stop.is_set():
                    self._store_last_used()
            except Exception as error:  # noqa: BLE001 -- whatever it is, the events are safe and must be tried again
                reason = error.message if isinstance(error, GatewayError) else f"{type(error).__name__}: {error}"
                if self.storage_failure is None:
                    self._observe(UsageStorageBroken(reason))
                self.storage_failure = reason
                return False
            if self.storage_failure is not None:
                self.storage_failure = None
                self._observe(UsageStorageRecovered())
            return True

    def _drain_backlog(self) -> None:
        while self._backlog:
            batch = [self._backlog[index] for index in range(min(BATCH_EVENTS, len(self._backlog)))]
            self._repository.add_events(batch)
            for event in batch:
                self._backlog.popleft()
                for segment in self._writer.segments:
                    segment.open_calls.pop(event.request_id, None)  # it began in the journal and ended in memory
        self._remove_finished()

    def _drain_own(self) -> None:
        segments = list(self._writer.segments)
        for segment in segments:
            if segment is self._writer.active and segment.is_deleted:
                self._writer.rotate()  # what is written from now on would be lost with us
        self._store(segments)
        self._remove_finished()

    def _remove_finished(self) -> None:
        for segment in list(self._writer.segments):
            if segment is not self._writer.active and not segment.open_calls and not segment.waiting_bytes:
                self._writer.segments.remove(segment)
                segment.remove()

    def _drain_adopted(self) -> None:
        """Bring in the segments of processes that are gone. What they began and did not end was interrupted."""
        if not self._adopted:
            return
        self._store(self._adopted)
        open_calls: dict[str, bytes] = {}
        for segment in self._adopted:
            open_calls.update(segment.open_calls)
        interrupted = [event for body in open_calls.values() if (event := parse_event(body)) is not None]
        for index in range(0, len(interrupted), BATCH_EVENTS):
            self._repository.add_events(interrupted[index : index + BATCH_EVENTS])
        for segment in self._adopted:
            segment.remove()
        self._adopted = []

    def _store(self, segments: Sequence[Segment]) -> None:
        """Bring in what is new in them, in batches that may reach over several."""
        batch: list[UsageEvent] = []
        read: list[_Read] = []
        begun_before: list[str] = []
        for segment in segments:
            begun: dict[str, bytes] = {}
            position = segment.position
            for kind, body, following in segment.read():
                position = following
                if kind == BEGIN:
                    if (request_id := parse_request_id(body)) is not None:
                        begun[request_id] = body
                elif (event := parse_event(body)) is not None:
                    batch.append(event)
                    if begun.pop(event.request_id, None) is None:
                        begun_before.append(event.request_id)
                    if len(batch) >= BATCH_EVENTS:
                        self._commit(batch, [*read, (segment, position, begun)], begun_before)
                        batch, read, begun, begun_before = [], [], {}, []
            if position != segment.position:
                read.append((segment, position, begun))
        if read:
            self._commit(batch, read, begun_before)

    def _commit(self, ended: list[UsageEvent], read: list["_Read"], begun_before: list[str]) -> None:
        if ended:
            with _without_collector():
                self._repository.add_events(ended)
            self.stored += len(ended)
        for segment, position, begun in read:
            segment.position = position
            segment.open_calls.update(begun)
        # A call may have begun in an earlier part or segment of the same process.
        waiting = [segment.open_calls for segment in [*self._adopted, *self._writer.segments] if segment.open_calls]
        for request_id in begun_before:
            for open_calls in waiting:
                open_calls.pop(request_id, None)


_Read = tuple[Segment, int, dict[str, bytes]]
"""A segment, how far it is read, and the calls that began in that part and did not end in it."""


@contextmanager
def _without_collector() -> Generator[None]:
    """
    No search for cycles meanwhile: it would stop the calls too, to look through what goes by itself once it is stored.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def last_used_store(keys: KeyService, record: Callable[[dict[str, datetime]], None]) -> Callable[[], None]:
    """What the recorder calls now and then, so that keys show when they were last used."""

    def store() -> None:
        taken = keys.take_last_used()
        if taken:
            record(taken)

    return store
