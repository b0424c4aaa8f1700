"""
The operations on what is stored about the holder of a key: an archive of it, and its erasure.

Both read and write files and the database for seconds: one at a time each, in a thread of its own.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from io import FileIO
from pathlib import Path

from copilot_api.api.admin_endpoint import OPERATION, Asked, enter
from copilot_api.api.door import Door
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.operations.people import EraseWish, ExportWish
from copilot_api.api.responses import answering_errors, uncached
from copilot_api.audit.models import Origin
from copilot_api.clock import Clock
from copilot_api.config.paths import DataDirectory
from copilot_api.errors import GatewayError, StorageUnavailable
from copilot_api.keys.service import KeyNotFound
from copilot_api.privacy.erasing import Order
from copilot_api.privacy.exporting import Exported, name_archive
from copilot_api.privacy.receipts import Receipt
from copilot_api.privacy.tools import MakeTools

_PIECE_BYTES = 256 * 1024
_WORK = ".export-"


class ErasureUnderWay(GatewayError):
    """Another erasure is not at its end yet."""

    number, code, status = 116, "erasure_under_way", 409
    kind, cause = "invalid_request_error", "bad_request"
    hint = "it takes some seconds: try again when it has ended"


class PrivacyApi:
    """See the module."""

    def __init__(self, door: Door, clock: Clock, directory: DataDirectory, make_tools: MakeTools) -> None:
        self._door = door
        self._clock = clock
        self._directory = directory
        self._make_tools = make_tools
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="privacy")
        self._erasing = asyncio.Lock()
        for left in directory.path.glob(f"{_WORK}*"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed while it wrote

    async def erase(self, asked: Asked) -> Receipt:
        """Erase all that is stored about one key, or finish doing so."""
        wish: EraseWish = asked.body
        return await self.erase_key(wish.key, Order(wish.events, asked.admin.id, asked.origin, wish.compact))

    async def erase_key(self, key_id: str, order: Order) -> Receipt:
        """The same for whoever knows already what is wanted. Raises `ErasureUnderWay`, `KeyNotFound`."""
        if self._erasing.locked():
            raise ErasureUnderWay("another erasure is under way")
        async with self._erasing:
            # Not given up when the caller hangs up: it would be done all the same, and the next one beside it.
            return await asyncio.shield(self._run_erase(key_id, order))

    async def _run_erase(self, key_id: str, order: Order) -> Receipt:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._erase, key_id, order)

    def _erase(self, key_id: str, order: Order) -> Receipt:
        tools = self._make_tools()
        subject = tools.subjects.get(key_id)
        if subject.id != key_id:
            raise KeyNotFound("an erasure takes the key's id, and nothing else")
        return tools.eraser.erase(subject, order)

    async def export_key(self, reference: str, *, actor: str, origin: Origin) -> tuple[Exported, AsyncGenerator[bytes]]:
        """
        All that is stored about one key, as an archive that goes when the generator is closed. Raises `KeyNotFound`, or
        `StorageUnavailable`.
        """
        exported, file = await self._open_archive(reference, actor, origin)
        return exported, self._read_pieces(file)

    async def _open_archive(self, reference: str, actor: str, origin: Origin) -> tuple[Exported, FileIO]:
        run = asyncio.get_running_loop().run_in_executor
        return await run(self._threads, self._write, reference, actor, origin)

    async def _read_pieces(self, file: FileIO) -> AsyncGenerator[bytes]:
        run = asyncio.get_running_loop().run_in_executor
        with file:
            while piece := await run(self._threads, file.read, _PIECE_BYTES):
                yield piece

    async def export(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI: send all that is stored about one key."""
        await answering_errors(self._export)(scope, receive, uncached(send))

    async def _export(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = await enter(self._door, self._clock, scope["state"][OPERATION], scope, receive)
        wish: ExportWish = asked.body
        exported, file = await self._open_archive(wish.key, asked.admin.id, asked.origin)
        size = os.fstat(file.fileno()).st_size
        async with aclosing(self._read_pieces(file)) as pieces:
            await send({"type": "http.response.start", "status": 200, "headers": _headers(asked, exported, size)})
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _write(self, reference: str, actor: str, origin: Origin) -> tuple[Exported, FileIO]:
        """The archive, whose file has no name any more: nothing of it outlives the answer."""
        tools = self._make_tools()
        subject = tools.subjects.get(reference)
        try:
            with tempfile.TemporaryDirectory(prefix=_WORK, dir=self._directory.path) as work:
                path = Path(work) / name_archive(subject.id, self._clock.now())
                exported = tools.exporter.export(subject, path, actor=actor, origin=origin)
                return exported, FileIO(path)
        except OSError as error:
            raise StorageUnavailable(f"the archive cannot be written: {error.strerror or error}") from error


def _headers(asked: Asked, exported: Exported, size: int) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/zip"),
        (b"content-length", str(size).encode()),
        (b"content-disposition", f'attachment; filename="{exported.path.name}"'.encode()),
        (b"x-capi-sha256", exported.sha256.encode()),
        (b"x-request-id", (asked.origin.request_id or "").encode()),
    ]
