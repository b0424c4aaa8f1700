"""An upstream that thinks for long: the client is told that somebody is still there."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT, opened

SILENCE_SECONDS = 15.0
LASTS_SECONDS = 17.0


def read_stream(journey: Journey, text: str) -> list[tuple[float, bytes]]:
    """The lines of a streamed answer, and when each came."""
    began = time.monotonic()
    with opened(journey.gateway.url, CHAT, chat(say(text), stream=True), key=journey.key) as response:
        assert response.status == 200
        return [(time.monotonic() - began, line.strip()) for line in response if line.strip()]


@pytest.mark.slow
def test_comments_fill_a_silence_of_the_upstream(journey: Journey) -> None:
    """
    After 15 s without a byte a comment goes out: before the upstream's head, and between two pieces. It stands between
    whole events, and the answer is the same. Proxies and clients give up on a connection that says nothing for longer.
    """
    wait = {"seconds": LASTS_SECONDS, "count": 1}
    journey.simulator.post("/_sim/faults", {"name": "slow-headers", "endpoint": "/chat/completions", **wait})
    journey.simulator.post("/_sim/faults", {"name": "silence", "endpoint": "*", **wait})
    try:
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda text: read_stream(journey, text), ["first of two", "second of two"]))
    finally:
        journey.simulator.post("/_sim/faults", {})
    assert sorted(len(lines) > 0 and lines[0][0] > SILENCE_SECONDS - 1 for lines in answers) == [False, True]
    for text, lines in zip(("first of two", "second of two"), answers, strict=True):
        comments = [at for at, line in lines if line.startswith(b":")]
        assert len(comments) == 1
        assert SILENCE_SECONDS - 1 <= comments[0] <= LASTS_SECONDS
        said = [line for _, line in lines if line.startswith(b"data: {")]
        assert b"".join(said).count(b'"finish_reason":"stop"') == 1
        assert lines[-1][1] == b"data: [DONE]"
        pieces = [line.partition(b'"content":"')[2].partition(b'"')[0].decode() for line in said]
        assert "".join(pieces) == text
