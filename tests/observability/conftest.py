"""What the tests of exports have in common."""

import threading
from collections.abc import Iterator

import pytest

PATIENCE_SECONDS = 60.0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """
    An exporter that is given up goes on for some seconds, and draws random numbers for its pauses; while a property test
    runs in this process that would be taken for its own.
    """
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), thread.name
