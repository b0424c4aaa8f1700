"""The gateway's side of the worker: whatever happens to it, the next trace gets another one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_api.capture.raw import RawLeg
from copilot_api.capture.worker_process import WorkerFailed, WorkerProcess
from tests.capture.raws import JSON, SECRET, make_raw
from tests.harness import wait_until


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess(redact_seconds=100.0)
    yield process
    process.stop()


def test_it_redacts_one_trace_after_the_other_in_one_process(worker: WorkerProcess) -> None:
    before = worker.pid
    body = b'{"a":"%b"}' % SECRET.encode()
    raw = make_raw(client_request=RawLeg(headers=JSON, body=body), client_answer=RawLeg(headers=JSON, body=body * 3000))
    first, pid = worker.redact(raw), worker.pid
    assert first.error == ""
    assert SECRET.encode() not in first.line
    assert worker.redact(raw) == first
    assert worker.pid == pid
    assert before is None, "not before there is something to do"
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 15, "calls go before it"


def test_one_that_dies_in_the_middle_costs_that_trace_and_is_replaced(worker: WorkerProcess) -> None:
    worker.redact(make_raw())
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerFailed, match="ended with"):
        worker.redact(make_raw())
    assert worker.pid is None
    assert worker.redact(make_raw()).error == ""
    assert worker.pid not in (None, pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_one_that_died_while_it_was_idle_is_replaced_after_one_failure(
    worker: WorkerProcess, number: signal.Signals
) -> None:
    worker.redact(make_raw())
    assert worker.pid is not None
    os.kill(worker.pid, number)
    with pytest.raises(WorkerFailed):
        worker.redact(make_raw())
    assert worker.redact(make_raw()).error == ""


def test_one_that_takes_too_long_is_ended() -> None:
    worker = WorkerProcess(redact_seconds=30.0)
    worker.redact(make_raw())
    pid = worker.pid
    assert pid is not None
    worker._redact_seconds = 0.3
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerFailed, match="too long"):
        worker.redact(make_raw(client_request=RawLeg(headers=JSON, body=b"x" * 300_000)))
    assert worker.pid is None
    assert not Path(f"/proc/{pid}").exists()
    worker.stop()


def test_stopping_ends_the_wait_of_another_thread(worker: WorkerProcess) -> None:
    worker.redact(make_raw())
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    threading.Timer(0.2, worker.stop).start()
    began = time.monotonic()
    with pytest.raises(WorkerFailed):
        worker.redact(make_raw())
    assert time.monotonic() - began < 10
    assert worker.pid is None


def test_it_ignores_the_signals_that_reach_every_process_of_the_terminal(worker: WorkerProcess) -> None:
    worker.redact(make_raw())
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert worker.redact(make_raw()).error == ""
    assert worker.pid == pid


def test_it_ends_with_the_process_that_started_it_however_that_ends() -> None:
    program = (
        "import os, signal\n"
        "from tests.capture.raws import make_raw\n"
        "from copilot_api.capture.worker_process import WorkerProcess\n"
        "worker = WorkerProcess(); worker.redact(make_raw()); print(worker.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    pid = int(done.stdout)
    wait_until(lambda: not _is_running(pid), 10, "the end of the orphan")


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
