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
