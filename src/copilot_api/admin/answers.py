"""What a view answers: a page, a way on, a file or a stream. How it goes out, and with what else, is not its own."""

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

_LOCATION = re.compile(r"/admin(?:[/?][!-~]*)?")

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A template with its data. The template also gets `request`, the `AdminRequest`."""

    template: str
    """Its name below `admin/templates`."""
    data: Mapping[str, object] = field(default_factory=dict[str, object])
    status: int = 200
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go on there, with a GET (303). `location` is a path of ours; for one from outside there is `safe_next`."""

    location: str
    headers: Headers = ()

    def __post_init__(self) -> None:
        if _LOCATION.fullmatch(self.location) is None:
            raise ValueError("a view sends on to what is no path of the admin pages")


@dataclass(frozen=True, slots=True)
class Content:
    """A whole file. With a `filename` the browser saves it under that name; without a `media_type` a header says it."""

    body: bytes
    media_type: str | None = None
    filename: str | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """
    A file or live events, piece by piece. `chunks` is closed when the reader goes, or the session ends.

    A live one (`is_live`) may go on for ever: it also ends when the gateway does.
    """

    chunks: AsyncGenerator[bytes]
    media_type: str
    filename: str | None = None
    is_live: bool = False
    headers: Headers = ()


Answer = Page | Redirect | Content | Stream


def disposition(filename: str) -> bytes:
    """`Content-Disposition` for a file of that name, in which nothing is left that could mean something else."""
    safe = _UNSAFE.sub("-", filename).strip("-.")[:100] or "download"
    return f'attachment; filename="{safe}"'.encode()
