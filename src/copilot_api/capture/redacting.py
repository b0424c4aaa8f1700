"""
A raw trace in, a redacted one out: every header, target, body and stream through one `Redactor`, and the outcome past
the verifier. Pure; runs in the worker process.

What the verifier still suspects is withheld: that header's value, that target, that whole body. What is no text is
withheld too, since nobody can look through it.
"""

from collections import Counter

from copilot_api.capture.models import Attempt, Cut, Leg, Trace
from copilot_api.capture.raw import RawLeg, RawTrace
from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.texts import NotText
from copilot_api.redaction.verifier import Suspect, find_suspects

WITHHELD = "[withheld]"
"""Stands in place of a value that the verifier did not let pass."""
_MAX_ERROR = 500


def redact_trace(raw: RawTrace) -> Trace:
    """The trace as it may be kept and shown."""
    return _Redaction(raw).trace()


class _Redaction:
    """One trace on its way through."""

    def __init__(self, raw: RawTrace) -> None:
        self._raw = raw
        self._redactor = Redactor(raw.salt)
        self._withheld = 0
        self._seen: dict[tuple[bytes, str, bool], tuple[str, str, Counter[str]]] = {}
        """Bodies that were looked through, with what came of them: where a call is passed on, legs have the same."""

    def trace(self) -> Trace:
        raw = self._raw
        earlier, last = raw.attempts[:-1], next(reversed(raw.attempts), None)
        trace = Trace(
            number=raw.number,
            request_id=raw.request_id,
            at=raw.at,
            key_id=raw.key_id,
            reason=raw.reason,
            replay_of=raw.replay_of,
            replay_of_key_id=raw.replay_of_key_id,
            client=raw.client,
            endpoint=raw.endpoint,
            model=self._text(raw.model),
            upstream_model=self._text(raw.upstream_model),
            stream=raw.stream,
            status=raw.status,
            cause=raw.cause,
            duration_ms=raw.duration_ms,
            client_request=self._leg(raw.client_request),
            upstream_request=self._found(None if last is None else last.request),
            upstream_answer=self._found(None if last is None else last.answer),
            client_answer=self._found(raw.client_answer),
            earlier_attempts=[
                Attempt(request=self._leg(attempt.request), answer=self._found(attempt.answer)) for attempt in earlier
            ],
        )
        trace.redactions = dict(self._redactor.hits)
        trace.withheld = self._withheld
        return trace

    def _found(self, raw: RawLeg | None) -> Leg | None:
        return None if raw is None else self._leg(raw)

    def _leg(self, raw: RawLeg) -> Leg:
        body, withheld = self._body(raw)
        return Leg(
            started_ms=raw.started_ms,
            ended_ms=raw.ended_ms,
            method=raw.method,
            target=self._passed(self._redactor.redact_target(raw.target)),
            status=raw.status,
            headers=self._headers(raw),
            body=body,
            bytes=raw.bytes,
            cut=Cut(raw.rest_bytes, raw.rest_digest) if raw.rest_bytes else None,
            timeline=raw.timeline,
            withheld=withheld,
            error=self._text(raw.error)[:_MAX_ERROR],
        )

    def _headers(self, raw: RawLeg) -> list[tuple[str, str]]:
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw.headers]
        return [(self._passed(name), self._passed(value)) for name, value in self._redactor.redact_headers(lines)]

    def _body(self, raw: RawLeg) -> tuple[str, str]:
        """The body, and why it is not there."""
        if not raw.body:
            return "", ""
        # What broke off may end in half a secret, whoever broke it off.
        is_cut = raw.rest_bytes > 0 or bool(raw.error)
        known = (raw.body, raw.media_type, is_cut)
        hits = self._redactor.hits
        if known in self._seen:
            body, withheld, struck = self._seen[known]
            hits.update(struck)
        else:
            before = hits.copy()
            body, withheld = self._look_through(raw, is_cut=is_cut)
            self._seen[known] = body, withheld, hits - before
        self._withheld += bool(withheld)
        return body, withheld

    def _look_through(self, raw: RawLeg, *, is_cut: bool) -> tuple[str, str]:
        try:
            if raw.media_type.lower().startswith("text/event-stream"):
                body = self._redactor.redact_stream(raw.body, is_cut=is_cut)
            else:
                body = self._redactor.redact_body(raw.body, raw.media_type, is_cut=is_cut)
        except NotText:
            return "", "it is no text that could be looked through"
        if suspects := find_suspects(body):
            return "", f"after redaction it still looked as if secrets were in it: {_kinds(suspects)}"
        return body, ""

    def _text(self, text: str) -> str:
        return self._passed(self._redactor.redact_text(text)) if text else text

    def _passed(self, text: str) -> str:
        """A short text, if the verifier lets it pass."""
        if text and find_suspects(text):
            self._withheld += 1
            return WITHHELD
        return text


def _kinds(suspects: list[Suspect]) -> str:
    return ", ".join(sorted({suspect.kind for suspect in suspects}))
