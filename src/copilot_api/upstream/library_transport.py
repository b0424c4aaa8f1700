"""
The same `Transport` on a library client (aiohttp): for networks where the way out leads through a proxy (`--proxy-
env`).
"""

import asyncio
from collections.abc import Mapping

import aiohttp

from copilot_api.upstream.transport import (
    CONNECT_SECONDS,
    MAX_SILENCE_SECONDS,
    MAX_WHOLE_BYTES,
    SILENCE,
    ConnectFailed,
    ConnectionBroken,
    NotHttp,
    Silence,
    SilentTooLong,
)


class LibraryTransport:
    """Sends model calls over an `aiohttp.ClientSession` made with `trust_env`."""

    def __init__(self, session: aiohttp.ClientSession, *, keep_alive_seconds: float = 15.0) -> None:
        self._session = session
        self._keep_alive_seconds = keep_alive_seconds

    async def send(self, url: str, headers: bytes, body: bytes) -> "LibraryReply":
        """See `Transport`."""
        pairs = [line.partition(": ") for line in headers.decode("latin-1").split("\r\n") if line]
        fields = {name: value for name, _, value in pairs}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=MAX_SILENCE_SECONDS)
        answer = asyncio.get_running_loop().create_task(  # awaited or cancelled by the reply, which its caller closes
            self._session.post(url, data=body, headers=fields, timeout=timeout, allow_redirects=False).__aenter__()
        )
        return LibraryReply(answer, self._keep_alive_seconds)

    def sweep(self) -> None:
        """See `Transport`; the library keeps its own timers."""

    async def close(self) -> None:
        """See `Transport`; the session's owner closes it."""


class LibraryReply:
    """`PendingReply` and `Reply` at once."""

    def __init__(self, answer: "asyncio.Task[aiohttp.ClientResponse]", keep_alive_seconds: float) -> None:
        self._answer = answer
        self._keep_alive_seconds = keep_alive_seconds
        self._response: aiohttp.ClientResponse | None = None
        self._next: asyncio.Task[bytes] | None = None

    @property
    def status(self) -> int:
        """See `Reply`."""
        return self._open().status

    @property
    def headers(self) -> Mapping[str, str]:
        """See `Reply`."""
        return {name.lower(): value for name, value in self._open().headers.items()}

    @property
    def content_type(self) -> bytes:
        """See `Reply`."""
        return self._open().headers.get("content-type", "").encode("latin-1", "replace")

    async def head(self) -> "LibraryReply | Silence":
        """See `PendingReply`."""
        done, _ = await asyncio.wait({self._answer}, timeout=self._keep_alive_seconds)
        if not done:
            return SILENCE
        try:
            self._response = self._answer.result()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ConnectFailed(str(error) or f"no connection within {CONNECT_SECONDS:.0f} s") from error
        except TimeoutError as error:
            raise SilentTooLong(f"no byte for {MAX_SILENCE_SECONDS:.0f} s") from error
        except aiohttp.ClientError as error:
            raise ConnectionBroken(str(error) or type(error).__name__) from error
        return self

    async def read(self) -> bytes | Silence:
        """See `Reply`."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._open().content.readany())
        done, _ = await asyncio.wait({self._next}, timeout=self._keep_alive_seconds)
        if not done:
            return SILENCE
        reading, self._next = self._next, None
        try:
            return reading.result()
        except TimeoutError as error:
            raise SilentTooLong(f"no byte for {MAX_SILENCE_SECONDS:.0f} s") from error
        except aiohttp.ClientError as error:
            raise ConnectionBroken(str(error) or type(error).__name__) from error

    async def read_all(self) -> bytes:
        """See `Reply`."""
        chunks: list[bytes] = []
        size = 0
        while chunk := await self.read():
            if not isinstance(chunk, Silence):
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_WHOLE_BYTES:
                    raise NotHttp("the answer does not end")
        return b"".join(chunks)

    def close(self) -> None:
        """See `Reply`."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._response is not None:
            self._response.close()
        elif self._answer.done() and not self._answer.cancelled() and self._answer.exception() is None:
            self._answer.result().close()
        else:
            self._answer.cancel()

    def _open(self) -> aiohttp.ClientResponse:
        if self._response is None:
            raise ConnectionBroken("the answer has not begun")
        return self._response
