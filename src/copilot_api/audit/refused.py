"""
Refused keys on record, without a call waiting for it and without a flood of them filling the disk.

What is refused is counted in memory, by the key's digest and the address; once a minute a thread writes a line for each
of them. So many different ones have a line of their own, and only so many lines are written a day: the others are one
line with their number. Of a key there is no more than the first eight digits of its SHA-256.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError
from copilot_api.observability.events import Notice, Observer

PERIOD_SECONDS = 60.0
MAX_KEYS, MAX_KEYLESS = 20, 5
"""How many different pairs have a line of their own in a minute: of a key and an address, and of an address alone."""
MAX_LINES_A_DAY = 2000
"""After that many, one line a minute tells how many were refused."""
DIGEST_CHARACTERS = 8

NOBODY = "unknown"
"""The actor: whoever it is has proven nothing."""
NO_KEY, OTHERS = "no key", "others"
"""The targets of the lines that are not about one key."""


@dataclass(slots=True)
class _Counted:
    """What came of one key from one address."""

    origin: Origin
    reason: str
    count: int = 0


class RefusedKeys:
    """See the module. `start` it, and `stop` it at the end."""

    def __init__(
        self,
        append: Callable[[AuditEvent], None],
        clock: Clock,
        observe: Observer,
        *,
        period_seconds: float = PERIOD_SECONDS,
    ) -> None:
        self._append = append
        self._clock = clock
        self._observe = observe
        self._period_seconds = period_seconds
        self._lock = threading.Lock()
        self._counted: dict[tuple[str, str | None], _Counted] = {}
        self._keys = self._keyless = self._others = 0
        self._day: date | None = None
        self._lines_today = 0
        self._is_failing = False
        self._has_some, self._is_stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="refused-keys", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is counted, and end."""
        self._is_stopped.set()
        self._has_some.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.flush()

    def note(self, secret: str, reason: str, origin: Origin) -> None:
        """Count a key that was refused, or that there was none (an empty one). Never waits, never raises."""
        target = f"sha256:{sha256(secret.encode()).hexdigest()[:DIGEST_CHARACTERS]}" if secret else NO_KEY
        place = (target, origin.address)
        self._has_some.set()
        with self._lock:
            counted = self._counted.get(place)
            if counted is None:
                if not self._has_room(is_key=bool(secret)):
                    self._others += 1
                    return
                counted = self._counted[place] = _Counted(origin, reason)
            counted.count += 1

    def _has_room(self, *, is_key: bool) -> bool:
        if is_key:
            self._keys += 1
            return self._keys <= MAX_KEYS
        self._keyless += 1
        return self._keyless <= MAX_KEYLESS

    # In the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            self._has_some.wait()
            self._is_stopped.wait(self._period_seconds)
            self._has_some.clear()
            self.flush()

    def flush(self) -> None:
        """Write what was counted until now. Blocks."""
        with self._lock:
            counted, others = self._counted, self._others
            self._counted, self._keys, self._keyless, self._others = {}, 0, 0, 0
        today = self._clock.now().date()
        if today != self._day:
            self._day, self._lines_today = today, 0
        for (target, _), each in counted.items():
            if self._lines_today >= MAX_LINES_A_DAY or not self._write(target, each.count, each.origin, each.reason):
                others += each.count
        if others and not self._write(OTHERS, others, Origin(), None):
            with self._lock:
                self._others += others

    def _write(self, target: str, count: int, origin: Origin, reason: str | None) -> bool:
        detail: dict[str, object] = {"count": count} if reason is None else {"count": count, "reason": reason}
        try:
            self._append(AuditEvent(NOBODY, Action.KEY_REFUSED, target, detail, origin))
        except GatewayError as error:
            if not self._is_failing:
                self._observe(Notice(f"refused keys cannot be put on record now, only counted: {error.message}"))
            self._is_failing = True
            return False
        self._lines_today += 1
        self._is_failing = False
        return True
