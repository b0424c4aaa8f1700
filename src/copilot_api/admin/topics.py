"""What open pages can listen to, see `copilot_api.admin.live`."""

from collections.abc import Hashable

from copilot_api.admin.live import LiveTopics, Mark
from copilot_api.admin.services import PageServices
from copilot_api.clock import Clock

USAGE, CALLS, STATE, SIGN_IN = "usage", "calls", "state", "sign_in"
USAGE_SECONDS = 5.0
"""How often pages of usage are renewed at most: each time the ledger is asked, for every tab."""
AGE_SECONDS = 2
"""How often the ages of calls under way are renewed."""


def add_topics(topics: LiveTopics, services: PageServices) -> None:
    """Offer all topics."""
    topics.add(USAGE, services.events_stored, is_for_holders=True)
    topics.add(CALLS, lambda: _mark_calls(services))
    topics.add(STATE, services.state)
    topics.add(SIGN_IN, lambda: services.sign_ins.mark)


class SlowMark:
    """A mark that is looked at only so often, whoever listens."""

    def __init__(self, clock: Clock, mark: Mark, seconds: float = USAGE_SECONDS) -> None:
        self._clock = clock
        self._mark = mark
        self._seconds = seconds
        self._looked_at = float("-inf")
        self._last: Hashable = None

    def __call__(self) -> Hashable:
        """See `Mark`."""
        now = self._clock.monotonic()
        if now - self._looked_at >= self._seconds:
            self._looked_at, self._last = now, self._mark()
        return self._last


def _mark_calls(services: PageServices) -> Hashable:
    under_way, slots = services.under_way, services.slots
    if not under_way:
        return (slots.in_flight, slots.waiting)
    calls = tuple((request_id, record.phase) for request_id, record in under_way.items())
    return (slots.in_flight, slots.waiting, calls, services.clock.monotonic() // AGE_SECONDS)
