"""What all protocols refuse alike."""

from typing import Any

import pytest

from tests.simulator.client import CHAT, CONVERSATIONS, MESSAGES, RESPONSES, Client, question

PIXEL = "iVBORw0KGgo="
IMAGES: dict[str, Any] = {
    CHAT: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    RESPONSES: {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    MESSAGES: {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
}


def _looking(path: str) -> dict[str, Any]:
    body = question(path, "")
    body["input" if path == RESPONSES else "messages"] = [{"role": "user", "content": [IMAGES[path]]}]
    return body


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_an_image_needs_its_header(simulator: Client, path: str) -> None:
    refused = simulator.api(path, _looking(path))
    assert refused.status == 400
    message = "missing required Copilot-Vision-Request header for vision requests"
    assert refused.json()["error"]["message"] == message
    assert simulator.api(path, _looking(path), copilot_vision_request="true").status == 200


def test_a_model_without_eyes_refuses_images(simulator: Client) -> None:
    body = {**_looking(CHAT), "model": "gpt-4o-mini"}
    assert simulator.api(CHAT, body, copilot_vision_request="true").status == 400


@pytest.mark.parametrize(
    ("path", "model", "said", "code"),
    [
        (CHAT, "gpt-4o-mini", "exceeds the limit of 12288", "model_max_prompt_tokens_exceeded"),
        (CHAT, "gemini-2.5-pro", "too large for model context window", "context_length_exceeded"),
        (RESPONSES, "gpt-5.3-codex", "exceeds the context window", "invalid_request_body"),
        (MESSAGES, "claude-haiku-4.5", "tokens > 136000 maximum", "model_max_prompt_tokens_exceeded"),
    ],
)
def test_each_endpoint_words_a_prompt_that_is_too_long_in_its_own_way(
    simulator: Client, path: str, model: str, said: str, code: str
) -> None:
    answer = simulator.ask(path, "word " * 300_000, model=model)
    assert answer.status == 400
    assert said in answer.json()["error"]["message"]
    assert answer.json()["error"]["code"] == code
    assert answer.headers["content-type"].startswith("text/plain") == (path == RESPONSES)
