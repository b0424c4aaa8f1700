"""
Bounded copies: of each message so much as the cap allows, of what is beyond it the size and a salted hash; of all
captures together so much as there is room for.
"""

import asyncio
import hashlib
import hmac
from concurrent.futures import Executor, Future

from copilot_api.capture.models import Moment
from copilot_api.capture.raw import Headers, RawLeg

LEG_BYTES = 1024 * 1024
"""How much of each body is copied."""
ROOM_BYTES = 32 * 1024 * 1024
"""How much all captures together may take before they are redacted, those of calls under way included."""
MAX_MOMENTS = 20_000
"""Pieces of a stream beyond this count are added to the last one of its timeline."""
OVERHEAD_BYTES = 8192
"""What a capture takes beside what is copied."""
_MOMENT_BYTES = 64


class NoRoom(Exception):
    """Too much is being captured at once."""


class Room:
    """What there is room for. In the event loop only."""

    def __init__(self, max_bytes: int = ROOM_BYTES) -> None:
        self._max_bytes = max_bytes
        self.taken_bytes = 0

    def take(self, size: int) -> None:
        """Take so much. Raises `NoRoom`."""
        if self.taken_bytes + size > self._max_bytes:
            raise NoRoom
        self.taken_bytes += size

    def give_back(self, size: int) -> None:
        """Somebody needs so much no more."""
        self.taken_bytes -= size


class Share:
    """What one capture takes of the room, given back as a whole."""

    __slots__ = ("_room", "_taken")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0

    def take(self, size: int) -> None:
        """Take so much more. Raises `NoRoom`."""
        self._room.take(size)
        self._taken += size

    def give_back(self) -> None:
        """All of it."""
        self._room.give_back(self._taken)
        self._taken = 0


class _Rest:
    """What is beyond the cap: its size, and its hash, which is made on a thread since it may be large."""

    __slots__ = ("_hasher", "_hmac", "size")

    def __init__(self, salt: bytes, hasher: Executor) -> None:
        self._hmac = hmac.new(salt, digestmod=hashlib.sha256)
        self._hasher = hasher
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._hasher.submit(self._hmac.update, piece)

    def digest(self) -> "Future[str]":
        return self._hasher.submit(self._hmac.hexdigest)


class LegCopy:
    """A copy of one message as it passes."""

    __slots__ = ("_hasher", "_kept_bytes", "_pieces", "_rest", "_salt", "_share", "is_streamed", "leg")

    def __init__(self, leg: RawLeg, share: Share, salt: bytes, hasher: Executor) -> None:
        self.leg = leg
        self.is_streamed = False
        """Whether each piece gets its place in the timeline."""
        self._share = share
        self._salt = salt
        self._hasher = hasher
        self._pieces: list[bytes] = []
        self._kept_bytes = 0
        self._rest: _Rest | None = None

    def add(self, piece: bytes, ms: float) -> None:
        """A piece of the body passes. Raises `NoRoom`."""
        if not piece:
            return
        self.leg.bytes += len(piece)
        if self.is_streamed:
            self._note(ms, len(piece))
        free = LEG_BYTES - self._kept_bytes
        if free > 0:
            kept = piece if len(piece) <= free else piece[:free]
            self._share.take(len(kept))
            self._pieces.append(kept)
            self._kept_bytes += len(kept)
            piece = piece[free:]
        if piece:
            if self._rest is None:
                self._rest = _Rest(self._salt, self._hasher)
            self._rest.add(piece)

    def end(self, ms: float, error: str = "") -> None:
        """The message is over; only the first time counts."""
        if self.leg.ended_ms is None:
            self.leg.ended_ms = ms
            self.leg.error = error

    async def seal(self) -> RawLeg:
        """The copy, complete."""
        self.leg.body = b"".join(self._pieces)
        self._pieces = []
        if self._rest is not None:
            self.leg.rest_bytes = self._rest.size
            self.leg.rest_digest = await asyncio.wrap_future(self._rest.digest())
        return self.leg

    def _note(self, ms: float, size: int) -> None:
        timeline = self.leg.timeline
        if len(timeline) < MAX_MOMENTS:
            self._share.take(_MOMENT_BYTES)
            timeline.append(Moment(ms, size))
        else:
            timeline[-1] = Moment(ms, timeline[-1].bytes + size)


def take_headers(share: Share, headers: Headers) -> Headers:
    """A copy of the headers. Raises `NoRoom`."""
    share.take(sum([len(name) + len(value) for name, value in headers]))
    return list(headers)
