"""What a process holds: file descriptors, threads, memory."""

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Holdings:
    """At one moment."""

    descriptors: int
    threads: int
    resident_bytes: int


def holdings(pid: int) -> Holdings:
    """What the process holds now."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Holdings(
        len(os.listdir(f"/proc/{pid}/fd")), int(fields["Threads"]), int(fields["VmRSS"].removesuffix("kB")) * 1024
    )


def steady(pid: int, seconds: float = 5.0) -> Holdings:
    """What it holds once that does not change any more: what has just been closed is still being let go of."""
    deadline = time.monotonic() + seconds
    last, since = holdings(pid), time.monotonic()
    while time.monotonic() - since < 0.2 and time.monotonic() < deadline:
        time.sleep(0.02)
        now = holdings(pid)
        if (now.descriptors, now.threads) != (last.descriptors, last.threads):
            since = time.monotonic()
        last = now
    return last


def settled(pid: int, baseline: Holdings, seconds: float = 5.0) -> Holdings:
    """What it holds once it has let go of all beyond `baseline`; what it still holds if it does not."""
    deadline = time.monotonic() + seconds
    while True:
        now = holdings(pid)
        if now.descriptors <= baseline.descriptors and now.threads <= baseline.threads:
            return now
        if time.monotonic() > deadline:
            return now
        time.sleep(0.02)
