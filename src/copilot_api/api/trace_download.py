"""`GET /admin/traces/{date}.jsonl`: the file of one day, sent piece by piece as fast as it is taken."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from copilot_api.api.http_exchange import Send
from copilot_api.capture.day_files import OpenDay
from copilot_api.capture.files import TraceFiles

PIECE_BYTES = 64 * 1024


async def open_day(files: TraceFiles, date: str, threads: Executor) -> OpenDay:
    """The file of that day, for whoever closes it. Raises as `TraceFiles.open_day` does."""
    opening = asyncio.get_running_loop().run_in_executor(threads, files.open_day, date)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)  # the thread goes on, and nobody else would
        raise


def _close(opening: "asyncio.Future[OpenDay]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def send_day(send: Send, request_id: str, day: OpenDay, run: Callable[..., Awaitable[bytes]]) -> None:
    """
    Send what the file held when it was opened. Its length is said beforehand: where reading fails in the middle, the
    connection is closed before that, and no client takes the file for whole. `run` calls what blocks.
    """
    headers = [
        (b"content-type", b"application/x-ndjson"),
        (b"content-disposition", f'attachment; filename="{day.date}.jsonl"'.encode()),
        (b"content-length", str(day.bytes).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    offset = 0
    while piece := await run(day.read, offset, PIECE_BYTES):
        offset += len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
