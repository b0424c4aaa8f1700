"""
Server-sent events, decoded as the bytes arrive (WHATWG HTML, section 9.2).

Lines end with LF, CR or CRLF and with nothing else: U+2028 and its like may stand raw inside JSON, so lines are split
as bytes, before anything is decoded.
"""

import re

import msgspec

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_FRAME_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")  # atomic: a CRLF is one line end, never two
_UNPRINTABLE = re.compile(r"[^ -~]")

MAX_EVENT_BYTES = 64 * 1024 * 1024
MAX_COMMENT_CHARACTERS = 200

KEEP_ALIVE = "keep-alive"
"""What a keep-alive says when there is nothing to say."""


class Event(msgspec.Struct, frozen=True):
    """One event: its data lines joined by LF, and its name when it has one."""

    data: bytes
    name: str | None = None


class EventTooLarge(ValueError):
    """One event is over `MAX_EVENT_BYTES`: its sender is not speaking SSE."""


class SseDecoder:
    """Bytes in, in pieces of any size; the data of each complete event out."""

    __slots__ = ("_is_at_start", "_pending", "_scanned")

    def __init__(self) -> None:
        self._pending: bytes = b""
        self._scanned = 0
        self._is_at_start = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes."""
        if not self._pending and chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            # Nearly every chunk: whole events, LF only. The general way below gives the same answer, slower.
            self._is_at_start = False
            if chunk.find(b"\n") == len(chunk) - 2:
                return [Event(chunk[6:-2])]
            return [event for frame in chunk[:-2].split(b"\n\n") if (event := _quick_frame(frame)) is not None]
        if self._is_at_start:
            chunk = self._pending + chunk
            self._pending = b""
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._pending = chunk
                return []
            chunk = chunk.removeprefix(_BOM)
            self._is_at_start = False
        pending = self._pending + chunk
        if len(pending) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event is over {MAX_EVENT_BYTES} bytes")
        events: list[Event] = []
        position = 0
        while (found := _FRAME_END.search(pending, max(position, self._scanned))) is not None:
            if found.end() == len(pending) and found.group().endswith(b"\r"):
                break  # this CR may be the first half of a CRLF
            event = _parse_frame(pending[position : found.start()])
            if event is not None:
                events.append(event)
            position = found.end()
        self._pending = pending[position:]
        self._scanned = max(0, len(self._pending) - 3)  # an end begins at most this far back: no byte is searched twice
        return events

    def finish(self) -> list[Event]:
        """The event that the end of the stream completes, if any: senders forget the last blank line."""
        pending, self._pending, self._scanned = self._pending, b"", 0
        event = _parse_frame(pending)
        return [] if event is None else [event]


def _quick_frame(frame: bytes) -> Event | None:
    return Event(frame[6:]) if frame.startswith(b"data: ") and b"\n" not in frame else _parse_frame(frame)


def _parse_frame(frame: bytes) -> Event | None:
    """The event in the lines of `frame`, or None when it has no data (a comment, say)."""
    data: list[bytes] = []
    name: str | None = None
    for line in _LINE_END.split(frame):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
    return Event(b"\n".join(data), name) if data else None


def render_event(data: bytes, name: str | None = None) -> bytes:
    """One event on the wire. `data` holds no line end (JSON never needs one)."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data) if name else b"data: %b\n\n" % data


def render_comment(text: str) -> bytes:
    """
    A comment: keeps the connection busy, means nothing to a client.

    One line of printable ASCII, whatever `text` holds: a line end in it would begin an event of somebody else's making.
    """
    return b": %b\n\n" % _UNPRINTABLE.sub("?", text[:MAX_COMMENT_CHARACTERS]).encode()
