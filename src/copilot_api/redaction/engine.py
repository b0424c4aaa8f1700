"""`Redactor`: takes the secrets out of the headers, targets, bodies and streams of one trace."""

from collections import Counter
from collections.abc import Iterable

from copilot_api.redaction.bodies import find_in_body, find_in_stream
from copilot_api.redaction.edits import Pen
from copilot_api.redaction.explain import Explanation, explain
from copilot_api.redaction.headers import find_in_header, find_in_target
from copilot_api.redaction.texts import decode_body, is_event_stream


class Redactor:
    """
    For one trace or one dry run: equal secrets get equal placeholders under one salt. Not for several threads at once.
    """

    def __init__(self, salt: bytes) -> None:
        self._pen = Pen(salt)

    @property
    def hits(self) -> Counter[str]:
        """How often each rule struck."""
        return self._pen.hits

    def redact_text(self, text: str) -> str:
        """Any text: an error message, a note, a tool's output."""
        return self._pen.apply(text, find_in_body(text, ""))

    def redact_headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The headers of a message, either way: secret ones by name, all others by what their value looks like."""
        return [(name, self._pen.apply(value, find_in_header(name, value))) for name, value in headers]

    def redact_target(self, target: str) -> str:
        """A path with its query, or an address."""
        return self._pen.apply(target, find_in_target(target))

    def redact_body(self, body: bytes, media_type: str, *, is_cut: bool = False) -> str:
        """
        A body as text; JSON stays JSON. Where the body was cut off (`is_cut`), its last unbroken run of characters goes
        too, since it may be half a secret. Raises `NotText` when it cannot be looked through.
        """
        text = decode_body(body, media_type, is_cut=is_cut)
        if is_event_stream(text, media_type):
            return self._pen.apply(text, find_in_stream(text, is_cut=is_cut))
        return self._pen.apply(text, find_in_body(text, media_type, is_cut=is_cut))

    def redact_stream(self, body: bytes, *, is_cut: bool = False) -> str:
        """
        Server-sent events: as many, in the same order. A secret that is spread over several is found on the text that
        they make together. Raises `NotText` when it cannot be looked through.
        """
        text = decode_body(body, "text/event-stream", is_cut=is_cut)
        return self._pen.apply(text, find_in_stream(text, is_cut=is_cut))

    def explain(self, body: bytes, media_type: str = "", *, is_cut: bool = False) -> Explanation:
        """
        What redaction makes of a body, and why: every hit with its rule and place, and what looks like a secret and
        stays. No secret is in it. Raises `NotText`.
        """
        return explain(self._pen, body, media_type, is_cut=is_cut)
