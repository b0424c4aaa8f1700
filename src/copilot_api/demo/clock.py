"""A clock that is set from moment to moment, for what is made up of the past."""

import time
from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class SetClock:
    """It stands where it was set."""

    at: datetime

    def now(self) -> datetime:
        """See `Clock`."""
        return self.at

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()
