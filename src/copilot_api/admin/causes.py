"""How calls ended, for people: whose doing it was, what it means, and what to do about it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from copilot_api.errors import GatewayError
from copilot_api.usage.models import Cause, UsageEvent

Tone = Literal["good", "warn", "bad", ""]


@dataclass(frozen=True, slots=True)
class CauseWords:
    """What a cause means."""

    who: str
    """Whose doing it was: `the caller`, `this gateway`, `GitHub Copilot`, `nobody`."""
    meaning: str
    tone: Tone


WORDS: dict[Cause, CauseWords] = {
    Cause.OK: CauseWords("nobody", "The answer was whole.", "good"),
    Cause.CLIENT_ABORTED: CauseWords("the caller", "The caller hung up before the answer was whole.", ""),
    Cause.BAD_REQUEST: CauseWords("the caller", "The request could not be read, or said what it may not.", "warn"),
    Cause.UNAUTHORIZED: CauseWords("the caller", "The key is missing, not valid, or not meant for this.", "warn"),
    Cause.MODEL_NOT_ALLOWED: CauseWords("the key's policy", "The key may not use this model.", "warn"),
    Cause.MODEL_NOT_FOUND: CauseWords("the caller", "No model goes by this name here.", "warn"),
    Cause.RATE_LIMITED: CauseWords("the key's limits", "A limit of this gateway was reached.", "warn"),
    Cause.OVER_BUDGET: CauseWords("the key's limits", "A budget is used up until its window ends.", "warn"),
    Cause.QUEUE_TIMEOUT: CauseWords("this gateway", "No slot came free in time: too many calls at once.", "warn"),
    Cause.UPSTREAM_ERROR: CauseWords("GitHub Copilot", "Copilot refused the call or failed on it.", "bad"),
    Cause.UPSTREAM_RATE_LIMITED: CauseWords("GitHub Copilot", "The account is limited, or its quota used up.", "bad"),
    Cause.UPSTREAM_TIMEOUT: CauseWords("GitHub Copilot", "Copilot did not answer in time.", "bad"),
    Cause.UPSTREAM_CUT: CauseWords("GitHub Copilot", "Copilot's answer broke off in the middle.", "bad"),
    Cause.INTERRUPTED: CauseWords("this gateway", "The gateway was stopped, or an admin ended the call.", "warn"),
    Cause.INTERNAL: CauseWords("this gateway", "A defect. The log has the details under the request id.", "bad"),
}  # fmt: skip


def words_of(cause: str) -> CauseWords:
    """The words of a cause by its name."""
    return WORDS[Cause(cause)]


def list_advice(event: UsageEvent) -> list[str]:
    """
    What to do about a call that ended so: the hints of the errors that it may have been told. The ledger keeps the
    cause and the status; several errors may have both.
    """
    if event.cause in {Cause.OK, Cause.CLIENT_ABORTED}:
        return []
    kin = [each for each in _list_errors(GatewayError) if each.cause == event.cause.value]
    alike = [each for each in kin if each.status == event.status] or kin
    return list(dict.fromkeys(each.hint for each in alike if each.hint))


def _list_errors(of: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for each in of.__subclasses__():
        if each.__module__ == GatewayError.__module__:  # those of single edges say nothing of a model call
            yield each
        yield from _list_errors(each)
