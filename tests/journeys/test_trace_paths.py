"""
The download of a day's traces, asked for by everything that is no date: nothing outside of the directory is ever read,
and no answer tells a path.

The list follows OWASP's pages on path traversal (dots, slashes and backslashes, plain, encoded once and twice, overlong,
with zero bytes, absolute), and adds digits and dots of other scripts, links, and what else may lie where a file should.
"""

import http.client
import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.harness import GatewayProcess, Simulator
from tests.journeys.commands import admin_key

DAY = "2026-07-01"
LINE = b'{"version":1,"number":1,"request_id":"req_1","at":"2026-07-01T12:00:00+00:00","client_request":{}}\n'
PRIVATE = b"what nobody may read"

DOTS = [
    "..", "%2e%2e", "%2e.", ".%2e", "%252e%252e", "%25252e%25252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae%f0%80%80%ae",
    "%c0%2e%c0%2e", "%uff0e%uff0e", "%u002e%u002e", quote("\uff0e\uff0e"), quote("\u2025"), quote("\u2024\u2024"), "...", "....", "..;", ".%00.", "..%20", "..%0d%0a",
]  # fmt: skip
SLASHES = [
    "/", "//", "/./", "%2f", "%2F", "%5c", "%5C", "%252f", "%255c", "%25252f", "%c0%af", "%c1%9c", "%c0%5c", "%c0%9v", "%e0%80%af", "%u2215", "%u2216",
    quote("\uff0f"), quote("\u2215"), quote("\u2044"), "%00/", "%0a/", "\\",
]  # fmt: skip
TARGETS = [
    "private.jsonl",
    "private.jsonl%00",
    f"private.jsonl%00{DAY}.jsonl",
    "private.jsonl%0a",
    "private.jsonl?",
    "private.jsonl#",
]
NAMES = [
    "", ".", "..", ".jsonl", "*", "*.jsonl", "????-??-??.jsonl", f"{DAY}", f"{DAY}.json", f"{DAY}.jsonl/", f"{DAY}.jsonl/.", f"{DAY}.jsonl/..",
    f"{DAY}.jsonl%00", f"{DAY}%00.jsonl", f"{DAY}.jsonl%00.jsonl", f"{DAY}.jsonl%0a", f"{DAY}%0a.jsonl", f"{DAY}.jsonl%0d%0a", f"{DAY}.jsonl%20",
    f"%20{DAY}.jsonl", f"+{DAY}.jsonl", f"-{DAY}.jsonl", f"{DAY}.JSONL", f"{DAY}.jsonl~", f"{DAY}.jsonl.bak", f".{DAY}.jsonl.00ff", f"{DAY}.jsonl::$DATA",
    f"{DAY}.jsonl;x=1", f"{DAY}.jsonl:1", "2026-7-1.jsonl", "2026-13-01.jsonl", "2026-02-30.jsonl", "0000-01-01.jsonl", "12026-07-01.jsonl",
    "20260701.jsonl", "2026/07/01.jsonl", "2026-W27-3.jsonl", "%32026-07-01.jsonl", "2026-07-0%31.jsonl", "2026%2d07-01.jsonl", "2026-07-01%2ejsonl",
    quote("\uff12\uff10\uff12\uff16-\uff10\uff17-\uff10\uff11") + ".jsonl", quote("\u0662\u0660\u0662\u0666-\u0660\u0667-\u0660\u0661") + ".jsonl", quote("2026\u201307\u201301") + ".jsonl", quote("2026-07-01\uff0e") + "jsonl",
    quote("2026-07-01.jsonl") + "%e2%80%8b", f"{DAY}.jsonl%ff", "%", "%2", "%zz", "%00", "A" * 5_000, "~root/.bashrc", "file:%2f%2f%2fetc%2fpasswd",
    "%2fetc%2fpasswd", "C:%5cboot.ini", "%5c%5chost%5cshare", "..%5c..%5cprivate.jsonl", "....//....//private.jsonl", "..././..././private.jsonl",
    "/etc/passwd", "//etc/passwd", "/proc/self/environ", "%2fproc%2fself%2ffd%2f0",
]  # fmt: skip


@dataclass
class Site:
    """A gateway with a file beside its traces that nobody may read through them."""

    gateway: GatewayProcess
    admin: str

    @property
    def traces(self) -> Path:
        return self.gateway.home / "traces"

    def ask(self, target: bytes) -> tuple[int, bytes]:
        """Status, and all that comes back, for a request target that goes out as it is."""
        parts = urlsplit(self.gateway.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
            head = f"host: 127.0.0.1\r\nauthorization: Bearer {self.admin}\r\nconnection: close\r\n\r\n".encode()
            connection.sendall(b"GET %b HTTP/1.1\r\n%b" % (target, head))
            received = b""
            while piece := connection.recv(1 << 16):
                received += piece
        response = http.client.HTTPResponse(_Socket(received))  # type: ignore[arg-type]  # all that it asks of one
        response.begin()
        return response.status, received

    def refused(self, target: bytes, *statuses: int) -> None:
        """That it is refused, and how little that says."""
        status, received = self.ask(target)
        # What does not even look like a file is a page's path to the gateway, and there is no such page either.
        is_file = target.startswith(b"/admin/traces/") and target.partition(b"?")[0].endswith(b".jsonl")
        assert status in (statuses or ((400, 404) if is_file else (303, 400, 401, 403, 404))), (target, received[:300])
        for secret in (
            PRIVATE,
            b"root:",
            bytes(self.gateway.home),
            self.gateway.home.name.encode(),
            b"Traceback",
            b"Errno",
        ):
            assert secret not in received, (target, received)
        head, _, _ = received.partition(b"\r\n\r\n")
        assert head.count(b"HTTP/1.1 ") == 1

    @property
    def day(self) -> bytes:
        return f"/admin/traces/{DAY}.jsonl".encode()


class _Socket:
    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


@pytest.fixture(scope="module")
def site(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("home-of-secrets")
    (home / "config.json").write_text('{"version": 1, "retention": {"traces_days": 7}}')
    with GatewayProcess(home, simulator.url) as gateway:
        found = Site(gateway, admin_key(gateway))
        found.traces.mkdir(mode=0o700, exist_ok=True)
        for path in (home / "private.jsonl", home.parent / "private.jsonl"):
            path.write_bytes(PRIVATE)
            path.chmod(0o600)
        yield found
        assert "Traceback" not in gateway.output


@pytest.fixture
def file(site: Site) -> Iterator[Path]:
    """The place of a day's file."""
    path = site.traces / f"{DAY}.jsonl"
    yield path
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def plant(file: Path) -> None:
    file.write_bytes(LINE)
    file.chmod(0o600)


def test_a_real_day_is_given(site: Site, file: Path) -> None:
    plant(file)
    status, received = site.ask(site.day)
    assert (status, received.endswith(b"\r\n\r\n" + LINE)) == (200, True)


@pytest.mark.parametrize("dots", DOTS)
def test_no_dots_lead_out_of_the_directory(site: Site, dots: str) -> None:
    for slash in SLASHES:
        for target in TARGETS:
            for path in (
                f"/admin/traces/{dots}{slash}{target}",
                f"/admin/traces/{DAY}.jsonl{slash}{dots}{slash}{target}",
            ):
                site.refused(path.encode("latin-1"))


def test_no_depth_of_dots_does(site: Site) -> None:
    for depth in (1, 2, 3, 8, 40):
        for step in ("../", "..%2f", "%2e%2e%2f", "%2e%2e/", "..\\", "..%5c", "%252e%252e%252f", "..%c0%af", "..%00/"):
            site.refused(f"/admin/traces/{step * depth}etc/passwd".encode())
            site.refused(f"/admin/traces/{step * depth}private.jsonl".encode())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_date_is_not_found(site: Site, file: Path, name: str) -> None:
    plant(file)
    site.refused(f"/admin/traces/{name}".encode())


@pytest.mark.parametrize(
    "target",
    [
        b"//admin/traces/2026-07-01.jsonl", b"/admin//traces/2026-07-01.jsonl", b"/admin/./traces/2026-07-01.jsonl", b"/admin/traces/./2026-07-01.jsonl",
        b"/x/../admin/traces/2026-07-01.jsonl", b"/admin/traces%2f2026-07-01.jsonl", b"/admin%2ftraces%2f2026-07-01.jsonl", b"/ADMIN/traces/2026-07-01.jsonl",
        b"/admin/traces/2026-07-01.jsonl?path=../private", b"/admin/traces/2026-07-01.jsonl?", b"/v1/admin/traces/2026-07-01.jsonl",
        b"/admin/traces\\2026-07-01.jsonl", b"/admin/traces/\xef\xbc\x90", b"/admin/traces/\xc0\xae\xc0\xae/private.jsonl", b"/admin/traces/\x00", b"admin/traces/2026-07-01.jsonl",
        b"/admin/traces/2026-07-01.jsonl\t", b"*",
    ],
)  # fmt: skip
def test_other_ways_to_write_the_path_are_none(site: Site, file: Path, target: bytes) -> None:
    plant(file)
    if target.endswith(b"jsonl?"):
        assert site.ask(target)[0] == 200  # an empty query is none
    else:
        site.refused(target)


def test_the_whole_target_may_be_a_url_and_still_be_only_a_path(site: Site, file: Path) -> None:
    plant(file)
    assert site.ask(b"http://x" + site.day)[0] == 200
    site.refused(b"file:///etc/passwd")
    site.refused(b"http://x/admin/traces/../private.jsonl")


@pytest.mark.parametrize(
    "kind", ["link", "link within", "dangling link", "directory", "pipe", "second name", "socket", "device", "loop"]
)
def test_what_is_no_file_of_ours_is_not_found(site: Site, file: Path, kind: str) -> None:
    match kind:
        case "link":
            file.symlink_to(site.gateway.home / "private.jsonl")
        case "link within":
            inside = site.traces / "2026-06-30.jsonl"
            plant(inside)
            file.symlink_to(inside.name)
        case "dangling link":
            file.symlink_to(site.gateway.home / "nothing")
        case "directory":
            file.mkdir()
        case "pipe":
            os.mkfifo(file, 0o600)
        case "second name":
            os.link(site.gateway.home / "private.jsonl", file)
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(file))
        case "device":
            if os.geteuid() != 0:
                pytest.skip("needs root")
            os.mknod(file, 0o600 | 0o020000, os.makedev(1, 5))
        case _:
            file.symlink_to(file.name)
    began = time.monotonic()
    site.refused(site.day, 404)
    assert time.monotonic() - began < 5
    (site.traces / "2026-06-30.jsonl").unlink(missing_ok=True)


def test_a_file_that_others_may_read_is_made_private_and_given(site: Site, file: Path) -> None:
    file.write_bytes(LINE)
    file.chmod(0o644)
    assert site.ask(site.day)[0] == 200
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_place_of_the_directory_is_not_followed(site: Site, tmp_path: Path) -> None:
    elsewhere, aside = tmp_path / "elsewhere", site.gateway.home / "aside"
    elsewhere.mkdir(mode=0o700)
    plant(elsewhere / f"{DAY}.jsonl")
    site.traces.rename(aside)
    site.traces.symlink_to(elsewhere)
    try:
        site.refused(site.day, 404, 503)
    finally:
        site.traces.unlink()
        aside.rename(site.traces)


def test_a_swap_between_look_and_use_never_gives_another_file(site: Site, file: Path, tmp_path: Path) -> None:
    """The file is a link, a pipe and itself by turns, as fast as can be, while it is asked for."""
    real, link, pipe = (site.gateway.home / name for name in ("real", "link", "pipe"))
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            plant(real)
            real.replace(file)
            link.symlink_to(site.gateway.home / "private.jsonl")
            link.replace(file)
            os.mkfifo(pipe, 0o600)
            pipe.replace(file)

    swapper = threading.Thread(target=swap)
    swapper.start()
    statuses: set[int] = set()
    try:
        for _ in range(400):
            status, received = site.ask(site.day)
            statuses.add(status)
            assert PRIVATE not in received
            assert status in {200, 404}
            if status == 200:
                assert received.endswith(LINE)
    finally:
        is_over.set()
        swapper.join()
        for path in (real, link, pipe):
            path.unlink(missing_ok=True)
    assert 404 in statuses


def test_a_directory_that_is_swapped_for_a_link_never_gives_another_file(site: Site, tmp_path: Path) -> None:
    elsewhere, aside = tmp_path / "elsewhere", site.gateway.home / "aside"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / f"{DAY}.jsonl").write_bytes(PRIVATE)
    (elsewhere / f"{DAY}.jsonl").chmod(0o600)
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            site.traces.rename(aside)
            site.traces.symlink_to(elsewhere)
            site.traces.unlink()
            aside.rename(site.traces)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(300):
            status, received = site.ask(site.day)
            assert PRIVATE not in received
            assert status in {404, 503}
    finally:
        is_over.set()
        swapper.join()
