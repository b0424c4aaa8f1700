"""What the tests of exports have in common."""

import threading
from collections.abc import Iterator

import pytest

PATIENCE_SECONDS = 60.0
EXPORT_SECONDS = 1
"""How long an exporter that is given up goes on by itself."""


@pytest.fixture(autouse=True)
def no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    An exporter that is given up goes on for a moment, and draws random numbers for its pauses; while a property test
    runs in this process that would be taken for its own.
    """
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(EXPORT_SECONDS))
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), thread.name
