"""The four legs of a captured call as a page shows them: each body as text, and what of it is missing. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from copilot_api.admin.figures import exact, size
from copilot_api.capture.models import Leg, Trace

SHOWN_CHARACTERS = 200_000
"""So much of a body stands in the page; the API has all that is kept."""


@dataclass(frozen=True, slots=True)
class LegView:
    """One leg."""

    name: str
    """For ids."""
    title: str
    leg: Leg
    text: str
    """Its body to be read: JSON set out in lines."""
    tree: str
    """What a script can show as a tree: `json`, `events`, or nothing."""
    notes: tuple[str, ...]
    """What of it is not here, and why."""

    @property
    def line(self) -> str:
        """Its first line: what was asked, or how it was answered."""
        if self.leg.status:
            return str(self.leg.status)
        return f"{self.leg.method} {self.leg.target}".strip()


def list_legs(trace: Trace) -> list[LegView]:
    """Those that there are, in the order in which they went; earlier tries at Copilot come between."""
    return list(_list_legs(trace))


def _list_legs(trace: Trace) -> Iterator[LegView]:
    yield _view("client-request", "From the client", trace.client_request)
    for number, attempt in enumerate(trace.earlier_attempts, start=1):
        yield _view(f"try-{number}-request", f"To Copilot, try {number}", attempt.request)
        if attempt.answer is not None:
            yield _view(f"try-{number}-answer", f"From Copilot, try {number}", attempt.answer)
    if trace.upstream_request is not None:
        yield _view("upstream-request", "To Copilot", trace.upstream_request)
    if trace.upstream_answer is not None:
        yield _view("upstream-answer", "From Copilot", trace.upstream_answer)
    if trace.client_answer is not None:
        yield _view("client-answer", "To the client", trace.client_answer)


def _view(name: str, title: str, leg: Leg) -> LegView:
    text, tree = _read_body(leg)
    notes = list(_list_notes(leg))
    if len(text) > SHOWN_CHARACTERS:
        notes.append(f"{exact(len(text) - SHOWN_CHARACTERS)} more characters are kept; the API shows them.")
        text, tree = text[:SHOWN_CHARACTERS], ""
    return LegView(name, title, leg, text, tree, tuple(notes))


def _read_body(leg: Leg) -> tuple[str, str]:
    body = leg.body
    if body.lstrip()[:1] in {"{", "["} and leg.cut is None:
        try:
            return msgspec.json.format(body, indent=2), "json"
        except (msgspec.DecodeError, RecursionError):
            return body, ""
    is_events = body.startswith(("data:", "event:", "id:", ":"))
    return body, "events" if is_events else ""


def _list_notes(leg: Leg) -> Iterator[str]:
    if leg.withheld:
        yield f"Its body is withheld: {leg.withheld}."
    if leg.cut is not None:
        yield (
            f"Its last {exact(leg.cut.bytes)} bytes of {size(leg.bytes)} are over the cap and not kept; their salted "
            f"hash is {leg.cut.digest[:12]}…"
        )
    if leg.error:
        yield f"It ended early: {leg.error}"
