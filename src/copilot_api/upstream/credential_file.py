"""The GitHub token of the default identity, in the data directory: read, written, and noticed when it changes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from copilot_api.config.paths import write_private
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.upstream.identities import CredentialSource, Identity, parse_github_token

LOOK_SECONDS = 1.0

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CredentialFile:
    """The file. Its methods block."""

    path: Path

    def read(self) -> Identity | None:
        """Whose token it holds; None without one. Raises `BadRequest` for what is no token, and `OSError`."""
        try:
            content = self.path.read_text()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise BadRequest(f"{self.path} holds no token", hint="run 'copilot-api auth login'") from None
        if not content.strip():
            return None
        try:
            return Identity(parse_github_token(content), CredentialSource.FILE)
        except BadRequest as error:
            hint = error.actual_hint or "run 'copilot-api auth login'"
            raise BadRequest(f"{self.path}: {error.message}", hint=hint) from error

    def write(self, token: str) -> None:
        """Keep a token, in the place of the one before. Raises `StorageUnavailable` or `OSError`."""
        write_private(self.path, token.encode())

    def stamp(self) -> Stamp | None:
        """What differs once the file does; None where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


async def watch_credential(
    file: CredentialFile,
    use: Callable[[Identity], None],
    tell: Callable[[str], None],
    *,
    seconds: float = LOOK_SECONDS,
) -> None:
    """
    Have `use` called with what is in the file whenever it becomes another, for ever. What cannot be used, and that the
    file is gone, is told once; the credential that is used stays.
    """
    seen = await asyncio.to_thread(file.stamp)
    while True:
        await asyncio.sleep(seconds)
        stamp = await asyncio.to_thread(file.stamp)
        if stamp == seen:
            continue
        seen = stamp
        try:
            identity = await asyncio.to_thread(file.read)
        except (GatewayError, OSError) as error:
            tell(f"the new GitHub credential cannot be used, the old one stays: {error}")
            continue
        if identity is None:
            tell("the GitHub credential is gone from the data directory; this gateway uses it until it is stopped")
        else:
            use(identity)
