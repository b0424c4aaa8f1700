"""What a call was for, from the socket to the ledger; what each program sends is in tests/gateway/test_kinds.py."""

from typing import Any

import pytest

from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT

OPENCODE, CLAUDE_CODE = "opencode/1.18.33", "claude-cli/2.1.331 (external, cli)"
TITLE = {"role": "system", "content": "You are a title generator. You output ONLY a thread title. Nothing else."}
COUNTED = {"model": "claude-sonnet-4.5", "messages": [{"role": "user", "content": "foo"}]}

CALLS: list[Any] = [
    pytest.param(CHAT, chat(say("x")), {}, "turn", id="a turn"),
    pytest.param(CHAT, chat(say("x")), {"x-parent-session-id": "ses_1"}, "subagent", id="by a header"),
    pytest.param(
        CHAT, {"model": "gpt-4.1", "messages": [TITLE, {"role": "user", "content": say("x")}]}, {}, "title", id="by words"
    ),
    pytest.param(CHAT, chat("hi", max_tokens=1), {}, "probe", id="by its size"),
    pytest.param(CHAT, chat("hi", model="no-such-model", max_tokens=1), {}, "probe", id="refused after it was read"),
    pytest.param(CHAT, chat("hi", max_tokens=1), {"authorization": "Bearer none"}, "turn", id="refused before"),
    pytest.param("/v1/messages/count_tokens", COUNTED, {}, "count_tokens", id="by its endpoint"),
    pytest.param("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"}, {}, "embeddings", id="vectors"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "headers", "kind"), CALLS)
def test_the_event_says_what_the_call_was_for(
    journey: Journey, path: str, body: Any, headers: dict[str, str], kind: str
) -> None:
    answer = journey.send(path, body, headers={"user-agent": OPENCODE, **headers})
    [event] = journey.events(answer)
    assert (event["client"], event["kind"]) == ("opencode", kind)


def test_a_header_of_another_program_says_nothing(journey: Journey) -> None:
    headers = {"user-agent": CLAUDE_CODE, "x-parent-session-id": "ses_1"}
    [event] = journey.events(journey.send(CHAT, chat(say("x")), headers=headers))
    assert (event["client"], event["kind"]) == ("claude-code", "turn")
