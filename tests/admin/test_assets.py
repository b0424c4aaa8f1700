"""The files that pages load: where they are, how they are kept, how they go out."""

import gzip
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from copilot_api.admin.assets import MEDIA_TYPES, Assets

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "copilot_api" / "admin"


def test_whatever_changes_in_a_file_changes_the_address_of_all() -> None:
    before = Assets({"a.js": b"1", "b.css": b"2"})
    assert before.url("a.js") == f"/admin/static/{before.version}/a.js"
    assert Assets({"b.css": b"2", "a.js": b"1"}).version == before.version
    assert Assets({"a.js": b"1", "b.css": b"3"}).version != before.version
    assert Assets({"a.js": b"1", "c.css": b"2"}).version != before.version
    assert Assets({"a.js": b"12", "b.css": b""}).version != Assets({"a.js": b"1", "b.css": b"2"}).version


def test_a_file_that_is_not_there_is_a_mistake_in_a_template_and_nothing_to_a_reader() -> None:
    assets = Assets({"a.js": b"1"})
    with pytest.raises(KeyError, match=r"b\.js"):
        assets.url("b.js")
    assert assets.answer(assets.version, "b.js") is None
    assert assets.answer(assets.version, "../templating.py") is None


def test_a_file_of_this_version_is_kept_for_ever_and_one_of_another_is_asked_for_again() -> None:
    assets = Assets({"a.js": b"1"})
    now, then = assets.answer(assets.version, "a.js"), assets.answer("0123456789ab", "a.js")
    assert now is not None
    assert then is not None
    assert dict(now.headers)[b"cache-control"] == b"public, max-age=31536000, immutable"
    assert dict(then.headers)[b"cache-control"] == b"no-cache"
    assert now.body == then.body == b"1"


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [("", False), ("gzip, deflate, br", True), ("br;q=1.0, GZIP;q=0.8", True), ("gzip;q=0", False), ("x-gzip", False)],
)
def test_it_is_compressed_for_those_who_take_that(accepted: str, is_compressed: bool) -> None:
    assets = Assets({"a.css": b"body{}" * 100})
    answer = assets.answer(assets.version, "a.css", accepted)
    assert answer is not None
    headers = dict(answer.headers)
    assert (b"content-encoding" in headers) is is_compressed
    assert headers[b"content-type"] == b"text/css; charset=utf-8"
    assert headers[b"vary"] == b"accept-encoding"
    assert (gzip.decompress(answer.body) if is_compressed else answer.body) == b"body{}" * 100


def test_the_package_brings_its_own_files_and_the_licences_of_others() -> None:
    names = Assets().names
    assert {"app.css", "app.js", "boot.js", "icons.svg", "tokens.css", "uplot.js"} <= set(names)
    assert {"uplot-LICENSE.txt", "lucide-LICENSE.txt"} <= set(names)
    files = {path.name for path in (PACKAGE / "static").rglob("*") if path.is_file()}
    assert files == set(names), "each file has a name of its own and a known type"
    assert {name.rpartition(".")[2] for name in names} <= set(MEDIA_TYPES)


def test_a_built_wheel_has_every_template_and_every_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
    for folder in ("static", "templates"):
        for path in (PACKAGE / folder).rglob("*"):
            if path.is_file():
                assert f"copilot_api/admin/{path.relative_to(PACKAGE).as_posix()}" in packed
