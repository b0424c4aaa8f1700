"""The file of a day goes out as it is, piece by piece; what a swapped or cut file does is in tests/journeys."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from copilot_api.api.trace_download import PIECE_BYTES, open_day, send_day
from copilot_api.capture.files import TraceFiles
from copilot_api.capture.queries import TraceDayNotFound

DAY = "2026-07-01"


@pytest.fixture
def files(tmp_path: Path) -> TraceFiles:
    path = tmp_path / "traces"
    path.mkdir(mode=0o700)
    (path / f"{DAY}.jsonl").write_bytes(b"x" * (2 * PIECE_BYTES + 5))
    (path / f"{DAY}.jsonl").chmod(0o600)
    return TraceFiles(path)


def test_it_goes_out_in_pieces_as_long_as_it_was_when_it_was_opened(files: TraceFiles, tmp_path: Path) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def run(read: Any, *arguments: Any) -> bytes:
        return bytes(read(*arguments))

    async def test() -> None:
        with ThreadPoolExecutor(1) as threads, await open_day(files, DAY, threads) as day:
            with (tmp_path / "traces" / f"{DAY}.jsonl").open("ab") as more:
                more.write(b"later")
            await send_day(send, "req_1", day, run)

    asyncio.run(test())
    headers = dict(sent[0]["headers"])
    assert headers[b"content-length"] == str(2 * PIECE_BYTES + 5).encode()
    assert headers[b"content-disposition"] == b'attachment; filename="2026-07-01.jsonl"'
    assert headers[b"x-request-id"] == b"req_1"
    assert [len(message["body"]) for message in sent[1:]] == [PIECE_BYTES, PIECE_BYTES, 5, 0]
    assert not sent[-1].get("more_body")


def test_a_day_that_is_not_there_is_not_found(files: TraceFiles) -> None:
    async def test() -> None:
        with ThreadPoolExecutor(1) as threads:
            for name in ("2026-07-02", "../x", "2026-07-01\n"):
                with pytest.raises(TraceDayNotFound):
                    await open_day(files, name, threads)

    asyncio.run(test())


def test_a_caller_who_hangs_up_while_it_is_opened_leaves_no_descriptor(files: TraceFiles) -> None:
    class Slow(TraceFiles):
        def __init__(self) -> None:
            self.opened: list[Any] = []

        def open_day(self, date: str) -> Any:
            self.opened.append(files.open_day(date))
            return self.opened[0]

    slow = Slow()

    async def test() -> None:
        with ThreadPoolExecutor(1) as threads:
            async with asyncio.TaskGroup() as group:
                opening = group.create_task(open_day(slow, DAY, threads))
                while not slow.opened:
                    await asyncio.sleep(0)
                opening.cancel()
        await asyncio.sleep(0)

    asyncio.run(test())
    with pytest.raises(OSError, match="Bad file descriptor"):
        slow.opened[0].read(0, 1)
