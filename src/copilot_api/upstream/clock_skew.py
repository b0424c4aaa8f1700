"""How far this machine's clock is off GitHub's, by the `Date` of GitHub's answers (RFC 9110, 6.6.1: whole seconds)."""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from copilot_api.clock import Clock, render_age

WORTH_TELLING = timedelta(seconds=30)
"""Below it is the time that an answer takes."""
HARMFUL = timedelta(minutes=5)


class ClockSkew:
    """See the module. As of the last answer with a date."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead: timedelta | None = None
        """How far this machine is ahead, negative when it is behind; None while it is not known."""

    def note(self, date: str) -> None:
        """GitHub has just said that it is `date`. What is no date says nothing."""
        ahead = measure_skew(date, self._clock.now())
        if ahead is not None:
            self.ahead = ahead

    @property
    def worth_telling(self) -> timedelta | None:
        """The same where somebody should do something about it."""
        return self.ahead if self.ahead is not None and is_worth_telling(self.ahead) else None


def measure_skew(date: str, now: datetime) -> timedelta | None:
    """How far `now` is ahead of a `Date` header's time; None where it is no date."""
    try:
        told = parsedate_to_datetime(date)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if told.tzinfo is None else now - told


def is_worth_telling(ahead: timedelta) -> bool:
    """Whether it is more than what an answer takes."""
    return abs(ahead) >= WORTH_TELLING


def describe_skew(ahead: timedelta) -> str:
    """In words: "4 min ahead of GitHub's", or "as GitHub's"."""
    if not is_worth_telling(ahead):
        return "as GitHub's"
    return f"{render_age(abs(ahead))} {'ahead of' if ahead > timedelta() else 'behind'} GitHub's"
