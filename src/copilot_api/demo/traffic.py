"""Calls that go on while a gateway is for show: a few a minute, so that what is live on the pages lives."""

import http.client
import json
import random
import threading
import time
from collections.abc import Mapping

from copilot_api.demo.first_calls import ask

_WORKERS = 3
_PAUSE_SECONDS = (4.0, 18.0)
_QUESTIONS = (
    "Explain what this function does and how to test it.",
    "Write a commit message for a change that splits the parser in two.",
    "Why would a select over one table wait for a lock?",
    "Make this loop a comprehension, and say whether that is better.",
    "What is the difference between a thread and a coroutine?",
)
_CALLS = (
    ("ada", "/v1/messages", "claude-sonnet-4.6", "claude-cli/2.1.34 (external, cli)"),
    ("katherine", "/v1/messages", "claude-opus-4.8", "claude-cli/2.1.34 (external, cli)"),
    ("linus", "/v1/chat/completions", "smart", "opencode/1.0.180"),
    ("grace", "/v1/chat/completions", "fast", "OpenAI/Python 2.9.0"),
    ("ci", "/v1/chat/completions", "gpt-4.1", "OpenAI/JS 6.9.1"),
    ("docs-bot", "/v1/chat/completions", "gpt-5-mini", "OpenAI/JS 6.9.1"),
)


def keep_calling(url: str, secrets: Mapping[str, str]) -> None:
    """Call again and again with the keys of `secrets`, by label, in threads that end with the process."""
    for number in range(_WORKERS):
        thread = threading.Thread(target=_call, args=(url, secrets, number), name=f"traffic-{number}", daemon=True)
        thread.start()


def _call(url: str, secrets: Mapping[str, str], number: int) -> None:
    draw = random.Random(number)  # noqa: S311 -- samples
    while True:
        time.sleep(draw.uniform(*_PAUSE_SECONDS))
        label, path, model, agent = draw.choice(_CALLS)
        body = {
            "model": model,
            "stream": True,
            "max_completion_tokens" if path.endswith("completions") else "max_tokens": 1024,
            "messages": [{"role": "user", "content": draw.choice(_QUESTIONS)}],
        }
        headers = {"authorization": f"Bearer {secrets[label]}", "user-agent": agent}
        try:
            ask(url, "POST", path, json.dumps(body), headers)
        except (OSError, http.client.HTTPException):
            return  # the gateway goes down
