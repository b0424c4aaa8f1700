"""A call like it, for a shell: right for its protocol, harmless whatever the model was called."""

import json
import shlex

import pytest

from copilot_api.admin.curl import render_curl
from copilot_api.usage.models import UsageEvent


def words(endpoint: str, model: str | None = "gpt-4.1", *, stream: bool = False) -> list[str]:
    event = UsageEvent(request_id="req_1", at="2026-07-01T12:00:00Z", endpoint=endpoint, model=model, stream=stream)
    return shlex.split(render_curl(event, "https://gw.example").replace("\\\n", " "))


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        ("/v1/chat/completions", "messages"),
        ("/v1/messages", "max_tokens"),
        ("/v1/messages/count_tokens", "messages"),
        ("/v1/responses", "input"),
        ("/v1/embeddings", "input"),
    ],
)
def test_it_asks_the_same_endpoint_in_its_own_protocol(endpoint: str, field: str) -> None:
    found = words(endpoint)
    assert found[1] == f"https://gw.example{endpoint}"
    body = json.loads(found[-1])
    assert body["model"] == "gpt-4.1"
    assert field in body
    assert "stream" not in body


def test_gemini_names_the_model_in_its_path() -> None:
    assert words("/v1beta/generateContent")[1] == "https://gw.example/v1beta/models/gpt-4.1:generateContent"
    streamed = words("/v1beta/generateContent", stream=True)
    assert streamed[:2] == ["curl", "-N"]
    assert streamed[2].endswith(":streamGenerateContent?alt=sse")


def test_a_hostile_model_stays_one_word() -> None:
    hostile = "'; rm -rf / #$(reboot)`x`\n\""
    assert json.loads(words("/v1/chat/completions", hostile)[-1])["model"] == hostile
    assert "%27%3B" in words("/v1beta/generateContent", hostile)[1]


def test_the_key_is_a_variable() -> None:
    assert "Authorization: Bearer $COPILOT_API_KEY" in words("/v1/chat/completions", None)
