"""The token in the data directory is read, written for nobody else, and noticed when it becomes another."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from copilot_api.errors import BadRequest
from copilot_api.upstream.credential_file import CredentialFile, watch_credential
from copilot_api.upstream.identities import CredentialSource, Identity


@pytest.fixture
def file(tmp_path: Path) -> CredentialFile:
    return CredentialFile(tmp_path / "github_token")


def test_what_was_written_is_read_and_is_private(file: CredentialFile) -> None:
    assert file.read() is None
    file.write("ghu_first")
    assert file.read() == Identity("ghu_first", CredentialSource.FILE)
    assert file.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_is_no_credential(file: CredentialFile, content: bytes) -> None:
    file.path.write_bytes(content)
    assert file.read() is None


@pytest.mark.parametrize("content", [b"ghp_classic", b"two words", b"\xff\xfe"])
def test_what_is_no_token_is_refused_with_what_to_do(file: CredentialFile, content: bytes) -> None:
    file.path.write_bytes(content)
    with pytest.raises(BadRequest) as caught:
        file.read()
    assert "auth login" in (caught.value.actual_hint or "")


def watched(file: CredentialFile, act: Callable[[list[Identity], list[str]], Awaitable[None]]) -> None:
    used: list[Identity] = []
    told: list[str] = []

    async def run() -> None:
        task = asyncio.create_task(watch_credential(file, used.append, told.append, seconds=0.01))
        await asyncio.sleep(0.05)
        try:
            await act(used, told)
        finally:
            task.cancel()

    asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    for _ in range(300):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it was not noticed")


def test_another_token_is_used_and_the_same_file_is_not_read_again(file: CredentialFile) -> None:
    file.write("ghu_first")

    async def act(used: list[Identity], told: list[str]) -> None:
        assert used == []
        file.write("ghu_second")
        await until(lambda: used)
        await asyncio.sleep(0.05)
        assert [identity.github_token for identity in used] == ["ghu_second"]
        assert told == []

    watched(file, act)


def test_a_first_token_is_used(file: CredentialFile) -> None:
    async def act(used: list[Identity], told: list[str]) -> None:
        file.write("ghu_first")
        await until(lambda: used)
        assert told == []

    watched(file, act)


def test_what_cannot_be_used_and_what_is_gone_is_told_once(file: CredentialFile) -> None:
    file.write("ghu_first")

    async def act(used: list[Identity], told: list[str]) -> None:
        file.path.write_text("ghp_classic")
        await until(lambda: len(told) == 1)
        assert "ghp_classic" not in told[0]
        os.unlink(file.path)
        await until(lambda: len(told) == 2)
        await asyncio.sleep(0.05)
        assert (len(told), used) == (2, [])

    watched(file, act)
