"""Sends answers: event by event at the pace that was set, or broken in the way a fault asks."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from copilot_api.simulator.faults import Fault
from copilot_api.simulator.http import Outgoing, Progress
from copilot_api.simulator.replies import Reply
from copilot_api.simulator.simulation import Simulation
from copilot_api.simulator.wire import DONE, Frame

TRANSPORT_EXTENSION = "copilot_api.simulator.transport"
_GARBAGE = b"\x16\x03\x01\x00\x02this is no HTTP\x00\xff\xfe\n"
_RESET_AFTER_SECONDS = 0.05  # a reset takes back what the peer has not read yet

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Delivery:
    """One answer's way onto the connection."""

    def __init__(
        self,
        send: Send,
        transport: asyncio.Transport | None,
        simulation: Simulation,
        on_end: Callable[[Progress], None],
    ) -> None:
        self._send = send
        self._transport = transport
        self._clock = simulation.clock
        self._pace = simulation.pace
        self._seconds = simulation.options.fault_seconds
        self._on_end = on_end
        self.progress = Progress()

    async def deliver(self, outgoing: Outgoing, headers: dict[str, str]) -> None:
        """Send it all, or as much as its fault lets through."""
        fault = outgoing.fault if outgoing.fault and outgoing.fault.kind == "delivery" else None
        if fault:
            await self._before_headers(fault)
        if outgoing.frames is None:
            await self._pause_for_whole(outgoing.pieces)
            await self._deliver_whole(outgoing.reply, headers, fault)
        else:
            await self._start(outgoing.reply, headers, None)
            await self._deliver_frames(outgoing.frames, fault, paced=True)

    async def _before_headers(self, fault: Fault) -> None:
        """The faults that show before any byte of an answer."""
        if fault.name == "stall-headers":
            await _forever()
        elif fault.name == "slow-headers":
            await asyncio.sleep(self._wait(fault))
        elif fault.name == "refused-close":
            await self._break_off()
        elif fault.name == "garbage":
            if self._transport:
                self._transport.write(_GARBAGE)
            await self._break_off()

    def _wait(self, fault: Fault) -> float:
        return self._seconds if fault.seconds is None else fault.seconds

    async def _pause_for_whole(self, pieces: int) -> None:
        """A whole answer holds its headers until the last piece is there."""
        seconds = self._pace.first_token_seconds + self._pace.gap_seconds * (pieces - 1) if pieces else 0.0
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _deliver_whole(self, reply: Reply, headers: dict[str, str], fault: Fault | None) -> None:
        body = reply.body
        if fault is None or fault.name in {"slow-headers", "no-done"}:
            await self._start(reply, headers, len(body))
            await self._finish(body)
            return
        half = body[: len(body) // 2]
        await self._start(reply, headers, len(half if fault.name == "cut-clean" else body))
        await self._deliver_frames([(half, True), (body[len(half) :], True)], fault, paced=False)

    async def _start(self, reply: Reply, headers: dict[str, str], length: int | None) -> None:
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        raw += [(name.encode(), value.encode("latin-1", "replace")) for name, value in reply.headers.items()]
        if reply.content_type:
            raw.append((b"content-type", reply.content_type.encode()))
        if length is not None:
            raw.append((b"content-length", str(length).encode()))
        self.progress.has_started = True
        self.progress.status = reply.status
        await self._send({"type": "http.response.start", "status": reply.status, "headers": raw})

    async def _finish(self, body: bytes = b"") -> None:
        """The end counts before it is sent: the client's next call may arrive sooner than this one's bookkeeping."""
        self.progress.is_finished = True
        self._on_end(self.progress)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _deliver_frames(self, frames: Iterable[Frame], fault: Fault | None, *, paced: bool) -> None:
        if fault is None or fault.name == "slow-headers":
            await self._write_frames(frames, paced=paced)
        elif fault.name == "no-done":
            await self._write_frames([frame for frame in frames if frame != DONE], paced=paced)
        elif fault.name == "split-frames":
            await self._write_split([data for data, _ in frames])
        else:
            await self._write_broken(list(frames), fault, paced=paced)
        await self._finish()

    async def _write_frames(self, frames: Iterable[Frame], *, paced: bool) -> None:
        """Every event is a write of its own; output waits for its time."""
        gap = self._pace.gap_seconds
        due = self._clock.monotonic() + self._pace.first_token_seconds
        for data, is_output in frames:
            if paced and is_output:
                await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
                due += gap
            await self._write(data)

    async def _write_split(self, frames: list[bytes]) -> None:
        """One to seven bytes a write, in a rhythm that tears code points and line ends."""
        data = b"".join(frames)
        position, step = 0, 0
        while position < len(data):
            size = (1, 2, 5, 1, 7, 3)[step % 6]
            await self._write(data[position : position + size])
            await asyncio.sleep(0)
            position, step = position + size, step + 1

    async def _write_broken(self, frames: list[Frame], fault: Fault, *, paced: bool) -> None:
        position = _break_position(frames, fault)
        await self._write_frames(frames[:position], paced=paced)
        if fault.name == "stall":
            await _forever()
        elif fault.name == "silence":
            await asyncio.sleep(self._wait(fault))
            await self._write_frames(frames[position:], paced=paced)
        elif fault.name == "cut":
            await self._break_off()
        elif fault.name == "cut-rst":
            await asyncio.sleep(_RESET_AFTER_SECONDS)
            await self._break_off(reset=True)

    async def _break_off(self, *, reset: bool = False) -> None:
        """Close the connection under the answer, and wait to be told that it is gone."""
        self.progress.is_broken = True
        self._on_end(self.progress)
        if self._transport is None:
            raise ConnectionResetError("the answer is broken off")
        if reset:
            _close_with_reset(self._transport)
            self._transport.abort()
        else:
            self._transport.close()
        await _forever()


async def _forever() -> None:
    await asyncio.Event().wait()


def _break_position(frames: list[Frame], fault: Fault) -> int:
    """How many events still go out: as asked, after the first output for a stall, else half of the output."""
    if fault.after is not None:
        return min(fault.after, len(frames))
    outputs = [index for index, (_, is_output) in enumerate(frames) if is_output]
    if not outputs:
        return min(1, len(frames))
    return outputs[0 if fault.name == "stall" else (len(outputs) - 1) // 2] + 1


def _close_with_reset(transport: asyncio.Transport) -> None:
    """A close that sends RST: the option belongs to the socket, not to this second descriptor of it."""
    original = transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(original.fileno())) as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
