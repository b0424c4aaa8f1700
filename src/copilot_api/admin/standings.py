"""How limits stand, in words: what a limit is, how full, and when it is free again. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from copilot_api.admin.components import Tone
from copilot_api.admin.figures import exact, round_significant
from copilot_api.admission.models import LimitStanding

_NAMES = {"rpm": "Requests a minute", "tpm": "Tokens a minute", "max_in_flight": "Calls at once"}
_SPANS = {"rpm": "a minute", "tpm": "a minute", "max_in_flight": "at once"}
_WINDOWS = {"hour": "this hour", "day": "today", "week": "this week", "month": "this month"}
_NEARLY = 0.8


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit, as a meter shows it."""

    name: str
    """As errors and events call it."""
    label: str
    used: float
    limit: float
    text: str
    """`412 of 1,000 credits`."""
    line: str
    """`412 of 1,000 credits today`: what stands without its label."""
    left: str
    """`588 credits left`."""
    resets_at: datetime | None
    is_observed: bool
    is_shared: bool
    """Whether it is one for all keys together."""
    tone: Tone

    @property
    def share(self) -> float:
        """How full it is; more than 1 where it was only observed."""
        return self.used / self.limit if self.limit else 0.0


def describe_standing(standing: LimitStanding) -> Standing:
    """A limit in words."""
    unit, window = _split(standing)
    used = round_significant(standing.used, 6)
    share = used / standing.limit if standing.limit else 0.0
    tone: Tone = "" if share < _NEARLY else ("bad" if share >= 1 and not standing.is_observed else "warn")
    label = _NAMES.get(standing.name) or f"{unit.capitalize()} {window}".strip()
    if standing.scope == "all":
        label = f"{label}, all keys"
    text = f"{exact(used)} of {exact(standing.limit)} {unit}"
    left = max(0.0, standing.limit - used)
    return Standing(
        name=standing.name,
        label=label,
        used=used,
        limit=standing.limit,
        text=text,
        line=f"{text} {_SPANS.get(standing.name, window)}".strip(),
        left=f"{exact(round_significant(left, 6))} {unit} left",
        resets_at=standing.resets_at,
        is_observed=standing.is_observed,
        is_shared=standing.scope == "all",
        tone=tone,
    )


def find_tightest(standings: Iterable[Standing]) -> Standing | None:
    """Of a key's own limits the one that is the fullest; a budget before a limit of the same share."""
    own = [each for each in standings if not each.is_shared]
    return max(own, key=lambda each: (each.share, ":" in each.name), default=None)


def _split(standing: LimitStanding) -> tuple[str, str]:
    """The unit and, of a budget, its window, both in words."""
    name = standing.name.removeprefix("all:")
    _, colon, window = name.partition(":")
    return standing.unit.replace("_", " "), _WINDOWS.get(window, "") if colon else ""
