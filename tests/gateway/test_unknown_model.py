"""A model's name is kept unless a secret stands in its place."""

import pytest

from copilot_api.gateway.unknown_model import MAX_NAME, REDACTED, keepable_name
from tests.redaction.corpus import SECRETS, survives


@pytest.mark.parametrize(
    "name",
    ["", "gpt-5", "gpt-5-mini-2025-08-07", "claude-sonnet-4-5-20250929", "models/gemini-2.5-pro-preview-05-06", "no such model",
     "accounts/fireworks/models/llama-v3p1-405b-instruct", "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "anthropic.claude-3-5-sonnet-20241022-v2:0",
     "hf.co/bartowski/Meta-Llama-3.1-70B-Instruct-GGUF:Q4_K_M", "ft:gpt-4o-mini-2024-07-18:acme:support:9aBcDeFg"],
)  # fmt: skip
def test_names_of_models_are_kept(name: str) -> None:
    assert keepable_name(name) == name


def test_a_long_name_is_cut() -> None:
    assert len(keepable_name("model " * 100)) == MAX_NAME


def test_no_secret_is_kept_for_a_name() -> None:
    for secret in SECRETS:
        assert survives(secret, keepable_name(secret.value)) is None
    assert keepable_name("sk-cap-" + "a" * 52) == REDACTED
