"""Every conversation endpoint has a renderer that says the same whole and as a stream."""

import pytest

from tests.simulator.client import CONVERSATIONS, Client, text_deltas, whole_text


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_whole_and_streamed_say_the_same(simulator: Client, path: str) -> None:
    whole = whole_text(path, simulator.ask(path, "say it twice"))
    assert "".join(text_deltas(path, simulator.ask(path, "say it twice", stream=True))) == whole
