"""
llm-comply, a conformance suite by others: it holds answers to the schemas that the vendors publish.

Each of its formats is run against a model of every upstream endpoint; each of its checks is a test here.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from llm_comply.tests import get_tests

from tests.harness import GatewayProcess, free_environment

RESPONSES_ONLY, CHAT_ONLY, MESSAGES_ONLY = "gpt-5.4", "gpt-4.1", "claude-opus-4.8"
TARGETS = [
    *(("open-responses", model) for model in (RESPONSES_ONLY, "gpt-5-mini", CHAT_ONLY, MESSAGES_ONLY)),
    *(("openai-chat", model) for model in (CHAT_ONLY, "gpt-5-mini", RESPONSES_ONLY, MESSAGES_ONLY)),
    *(("anthropic", model) for model in (RESPONSES_ONLY, CHAT_ONLY)),  # a native answer is Copilot's, as it came
    *(("google-genai", model) for model in ("gemini-2.5-pro", RESPONSES_ONLY, MESSAGES_ONLY)),
]
CHECKS = [(api, model, check.id) for api, model in TARGETS for check in get_tests(api)]

REASONING = {"reasoning-summary", "chat-reasoning-summary", "anth-thinking-display"}
"""Checks that llm-comply itself skips unless the model's name says that it reasons."""

WARNED = {"compact-response", "google-thinking"}
"""
Checks that may pass with a warning. Copilot compacts no conversations: the suite takes a 404 there, but says so. Not
every model shows its thoughts.
"""

WITHOUT_A_CALLER = {"anth-tool-calling"}
"""It wants `caller` on a tool_use block. No client reads it, and back ends may refuse it when it comes back."""

Report = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def report(gateway: GatewayProcess, client_key: str) -> Report:
    """What one run of the suite found, by the id of the check; each run is made once."""

    @cache
    def run(api: str, model: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "llm_comply.cli", "--json", "--format", api, "--model", model]
        done = subprocess.run(
            [*command, "--base-url", f"{gateway.url}/v1", "--api-key", client_key],
            env=free_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout.startswith("{"), done.stderr
        return {result["id"]: result for result in json.loads(done.stdout)["results"]}

    return run


@pytest.mark.parametrize(("api", "model", "check"), CHECKS)
def test_llm_comply(report: Report, api: str, model: str, check: str) -> None:
    result = report(api, model)[check]
    if check in WITHOUT_A_CALLER:
        assert all("'type': 'tool_use'" in error and "is not valid under any" in error for error in result["errors"])
        return
    if check in REASONING and result["status"] == "skipped":
        return
    assert result["status"] == "passed", "\n".join(result["errors"])
    if check not in WARNED:
        assert not result.get("warnings"), "\n".join(result["warnings"])
