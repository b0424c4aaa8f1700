"""
The frames of a Messages stream, taken apart as they arrive.

Every event here has an `event:` line before its data, and nearly every chunk is whole frames with LF only. Those are
cut with two searches; whatever looks different goes the general way (`copilot_api.protocols.sse`), with the same
outcome.
"""

import msgspec

from copilot_api.protocols.sse import Event, SseDecoder

DONE = b"[DONE]"


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event: its data, and its name when it has one."""

    data: bytes
    name: bytes | None


class FrameDecoder:
    """Bytes in, in pieces of any size; complete frames out."""

    __slots__ = ("_decoder", "is_between")

    def __init__(self) -> None:
        self._decoder = SseDecoder()
        self.is_between = True
        """Whether all that came so far is handed out: only then may a chunk be cut without a look at what is kept."""

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes. Raises `EventTooLarge`."""
        if self.is_between and chunk.startswith(b"event: ") and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            frames = [frame for piece in chunk[:-2].split(b"\n\n") if (frame := _quick(piece)) is not None]
            if len(frames) == chunk.count(b"\n\n"):
                return frames
        events = self._decoder.feed(chunk)
        if chunk:
            self.is_between = chunk.endswith(b"\n\n")
        return [_named(event) for event in events]

    def finish(self) -> list[Frame]:
        """The frame that the end of the stream completes, if any."""
        return [_named(event) for event in self._decoder.finish()]


def _named(event: Event) -> Frame:
    return Frame(event.data, event.name.encode() if event.name else None)


def _quick(frame: bytes) -> Frame | None:
    head, _, data = frame.partition(b"\n")
    if head.startswith(b"event: ") and data.startswith(b"data: ") and b"\n" not in data:
        return Frame(data[6:], head[7:])
    return None
