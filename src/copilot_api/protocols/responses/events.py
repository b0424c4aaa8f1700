"""
The bytes of a Responses stream as events, whatever the upstream took for a stream.

Copilot names each event twice, in its `event:` line and in the data's `type`, and now and then forgets the latter. In
the place of a stream there may also be a body: JSON (an error under a `text/plain`, or the whole answer), or a page of
HTML from what stands in between.
"""

import re
from typing import Any

import msgspec
import msgspec.structs

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.sse import MAX_EVENT_BYTES, Event, EventTooLarge, SseDecoder
from copilot_api.protocols.untyped import object_of

DONE = b"[DONE]"
_PLAIN = re.compile(rb"event: ([\w.]+)\ndata: ([^\n]+)\n\n")
_FIRST = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*+([{\[<])")
_BLANK = re.compile(rb"\A(?:\xef|\xef\xbb|\xef\xbb\xbf)?\s*\Z")


class WireEvent(msgspec.Struct, gc=False):
    """What of any event is read at once; the rest of an event that holds more is decoded on its own."""

    type: str = ""
    output_index: int = -1
    content_index: int = 0
    summary_index: int = 0
    delta: str = ""
    text: str = ""
    refusal: str = ""
    arguments: str = ""
    input: str = ""
    name: str = ""


_decode_event = msgspec.json.Decoder(WireEvent).decode
_KINDS: dict[str, type[object]] = {name: type(default) for name, default in msgspec.structs.asdict(WireEvent()).items()}


class EventSource:
    """Bytes in, events out; or all of it as `body`, when it turns out to be no stream at all."""

    __slots__ = ("_decoder", "_is_between", "_pieces", "_size", "_start")

    def __init__(self) -> None:
        self._decoder = SseDecoder()
        self._is_between = True
        """Whether the decoder waits for the rest of no event."""
        self._start: bytes | None = b""
        """What has come before it is known what it is; None from then on."""
        self._pieces: list[bytes] | None = None
        self._size = 0

    @property
    def body(self) -> bytes | None:
        """What has come, when it is one JSON body."""
        return None if self._pieces is None else b"".join(self._pieces)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises `UpstreamFailed` for what no event can come of."""
        if self._start is not None:
            chunk = self._start + chunk
            if _BLANK.match(chunk):
                self._start = chunk
                return []
            self._start = None
            self._look(chunk)
        if self._pieces is not None:
            self._size += len(chunk)
            if self._size > MAX_EVENT_BYTES:
                raise UpstreamFailed("GitHub Copilot sent an answer that does not end")
            self._pieces.append(chunk)
            return []
        is_plain = chunk.endswith(b"\n\n") and b"\r" not in chunk
        if is_plain and self._is_between and chunk.startswith(b"event: "):
            found = _PLAIN.fullmatch(chunk)  # nearly every chunk: one event; the general way gives the same, slower
            if found is not None:
                return [Event(found[2], found[1].decode())]
        self._is_between = is_plain
        try:
            return self._decoder.feed(chunk)
        except EventTooLarge:
            raise UpstreamFailed("GitHub Copilot sent an event that does not end") from None

    def finish(self) -> list[Event]:
        """The last event, if it came without its blank line; one that is not whole has been cut and does not count."""
        rest = self._decoder.finish() if self._pieces is None else []
        return [event for event in rest if event.data == DONE or _is_object(event.data)]

    def _look(self, start: bytes) -> None:
        found = _FIRST.match(start)
        if found is None:
            return
        if found[1] == b"<":
            raise UpstreamFailed("GitHub Copilot answered with a web page")
        self._pieces = []


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(data), dict)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False


def read_event(data: bytes) -> WireEvent | None:
    """The event in `data`, what is of the wrong kind left out; None when it is not JSON."""
    try:
        return _decode_event(data)
    except msgspec.ValidationError:
        fields = fields_of(data)
        return WireEvent(**{name: fields[name] for name, kind in _KINDS.items() if type(fields.get(name)) is kind})
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def fields_of(data: bytes) -> dict[str, Any]:
    """All of an event; empty when any of it is broken that was not looked at before."""
    try:
        return object_of(msgspec.json.decode(data))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
