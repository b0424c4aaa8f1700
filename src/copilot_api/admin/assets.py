"""
The files that pages load: styles, scripts, icons. Read once, compressed once, and kept by browsers for ever.

All of them share one version in their path, `/admin/static/{version}/app.js`: a script finds its neighbours by a
relative path, and whatever changes in any of them changes the address of all.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from copilot_api.admin.answers import Headers
from copilot_api.admin.compression import takes_gzip
from copilot_api.admin.paths import ROOT

PREFIX = f"{ROOT}/static"
MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_FOREVER = b"public, max-age=31536000, immutable"
_ASK_AGAIN = b"no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, plain and compressed."""

    media_type: str
    plain: bytes
    compressed: bytes


@dataclass(frozen=True, slots=True)
class AssetAnswer:
    """A file as it goes out: its bytes and its headers, `Content-Type` among them."""

    body: bytes
    headers: Headers


class Assets:
    """See the module. Holds everything in memory: it is less than a photograph."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        """Take the package's own files, or `files` by their names."""
        found = dict(_read_package()) if files is None else dict(files)
        digest = hashlib.sha256()
        for name in sorted(found):
            digest.update(f"{name}\0{len(found[name])}\0".encode() + found[name])
        self.version = digest.hexdigest()[:12]
        self._assets = {name: _make_asset(name, content) for name, content in found.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """What there is."""
        return tuple(sorted(self._assets))

    def url(self, name: str) -> str:
        """Where a page finds `name`. Raises `KeyError` for one that is not there: a mistake in a template."""
        if name not in self._assets:
            raise KeyError(f"there is no static file {name!r}")
        return f"{PREFIX}/{self.version}/{name}"

    def get(self, name: str) -> Asset:
        """The file. Raises `KeyError`."""
        return self._assets[name]

    def answer(self, version: str, name: str, accept_encoding: str = "") -> AssetAnswer | None:
        """
        What to send for `/admin/static/{version}/{name}`; None where there is no such file.

        A page that was loaded before an update asks for a version that is gone: it gets today's file, not to be kept.
        """
        asset = self._assets.get(name)
        if asset is None:
            return None
        is_compressed = takes_gzip(accept_encoding)
        headers = [
            (b"content-type", asset.media_type.encode()),
            (b"cache-control", _FOREVER if version == self.version else _ASK_AGAIN),
            (b"vary", b"accept-encoding"),
        ]
        if is_compressed:
            headers.append((b"content-encoding", b"gzip"))
        return AssetAnswer(asset.compressed if is_compressed else asset.plain, tuple(headers))


def _make_asset(name: str, content: bytes) -> Asset:
    media_type = MEDIA_TYPES[name.rpartition(".")[2]]
    return Asset(media_type, content, gzip.compress(content, 9, mtime=0))


def _read_package() -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    _read_folder(resources.files("copilot_api.admin") / "static", found)
    return found


def _read_folder(folder: Traversable, found: dict[str, bytes]) -> None:
    """The folders are for whoever maintains the files; in an address all of them lie side by side."""
    for entry in folder.iterdir():
        if entry.is_dir():
            _read_folder(entry, found)
        elif entry.name.rpartition(".")[2] in MEDIA_TYPES:
            if entry.name in found:
                raise ValueError(f"two static files are named {entry.name}")
            found[entry.name] = entry.read_bytes()
