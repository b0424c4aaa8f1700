"""The two compiled programs of the benchmark: building them, starting the mock upstream, running one load."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

BENCH = Path(__file__).resolve().parent
BUILD = BENCH / "build"
C_FLAGS = ["-O2", "-Wall", "-Wextra"]


class BenchError(Exception):
    """The run cannot go on; the message says what to do."""


def find_compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


def build(into: Path = BUILD) -> tuple[Path, Path]:
    """Compile both programs if they are older than their sources; returns mock upstream and load generator."""
    compiler = find_compiler()
    if compiler is None:
        raise BenchError("no C compiler: install one (`apt-get install gcc libc6-dev`)")
    into.mkdir(parents=True, exist_ok=True)
    programs = []
    for name in ("mock_upstream", "load"):
        source, program = BENCH / f"{name}.c", into / name
        newest = max(source.stat().st_mtime, (BENCH / "wire.h").stat().st_mtime)
        if not program.exists() or program.stat().st_mtime < newest:
            subprocess.run([compiler, *C_FLAGS, "-o", str(program), str(source)], check=True)
        programs.append(program)
    return programs[0], programs[1]


def on_core(core: int | None) -> list[str]:
    return [] if core is None else ["taskset", "-c", str(core)]


def stop(process: subprocess.Popen[str], patience: float = 15) -> int:
    """Ask a program to end, insist after a while; returns its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@dataclass
class Mock:
    """A running mock upstream."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.process)
        if self.process.stdout:
            self.process.stdout.close()


def start_mock(program: Path, *, core: int | None = None, port: int = 0, flags: tuple[str, ...] = ()) -> Mock:
    command = [*on_core(core), str(program), "--port", str(port), *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise BenchError("the mock upstream has no output")
    found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    if found is None:
        raise BenchError(f"the mock upstream did not start: exit code {stop(process)}")
    return Mock(process, int(found[1]))


@dataclass(frozen=True)
class Load:
    """What one run of the load generator sends; the fields are its flags."""

    connections: int = 1
    duration: float = 0
    count: int = 0
    body_bytes: int = 2048
    is_streamed: bool = False
    events: int = 0
    gap_ms: int = 0
    chunk_bytes: int = 16_384
    ramp_ms: int = 0
    settle_ms: int = 0

    def flags(self) -> list[str]:
        numbers = {
            "connections": self.connections, "duration": self.duration, "count": self.count,
            "body-bytes": self.body_bytes, "events": self.events, "gap-ms": self.gap_ms,
            "chunk-bytes": self.chunk_bytes,
            "ramp-ms": self.ramp_ms, "settle-ms": self.settle_ms,
        }  # fmt: skip
        flags = [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
        return [*flags, "--stream"] if self.is_streamed else flags


@dataclass(frozen=True)
class LoadResult:
    """What the load generator reports; `raw` is all of it."""

    requests: int
    sent: int
    failures: int
    failures_by_kind: dict[str, int]
    seconds: float
    rps: float
    latency_us: dict[str, float]
    first_chunk_us: dict[str, float]
    events: int
    cpu_seconds: float
    raw: dict[str, Any] = field(repr=False)


def run_load(
    program: Path,
    load: Load,
    *,
    port: int,
    path: str = "/chat/completions",
    headers: tuple[str, ...] = (),
    core: int | None = None,
    while_running: Callable[[], None] | None = None,
) -> LoadResult:
    command = [*on_core(core), str(program), "--port", str(port), "--path", path, *load.flags()]
    for header in headers:
        command += ["--header", header]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while while_running is not None:
            try:
                process.wait(timeout=0.25)
                break
            except subprocess.TimeoutExpired:
                while_running()
        output, _ = process.communicate(timeout=300)
    if process.returncode != 0:
        raise BenchError(f"the load generator failed: exit code {process.returncode}")
    raw = json.loads(output)
    known = {name: raw[name] for name in LoadResult.__dataclass_fields__ if name != "raw"}
    return LoadResult(**known, raw=raw)
