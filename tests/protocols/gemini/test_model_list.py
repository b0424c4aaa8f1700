"""The list of models as Google gives it."""

from copilot_api.protocols.gemini.model_list import render_model, render_model_list
from copilot_api.protocols.model_list import ListedModel
from tests.protocols.gemini.google_sdk import ScriptedGateway

MODELS = [
    ListedModel("gpt-4.1", "GPT-4.1", "openai", max_input_tokens=111_424, max_output_tokens=16_384),
    ListedModel("claude-sonnet-4.6", "Claude Sonnet 4.6", "anthropic"),
]


def test_an_entry_has_googles_fields() -> None:
    assert render_model(MODELS[0]) == {
        "name": "models/gpt-4.1",
        "baseModelId": "gpt-4.1",
        "version": "gpt-4.1",
        "displayName": "GPT-4.1",
        "description": "GPT-4.1 by way of GitHub Copilot",
        "inputTokenLimit": 111_424,
        "outputTokenLimit": 16_384,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }


def test_limits_that_nobody_knows_are_left_out() -> None:
    assert "inputTokenLimit" not in render_model(MODELS[1])


def test_pitfall_107_the_pager_of_the_sdk_comes_to_an_end() -> None:
    gateway = ScriptedGateway(models=MODELS)
    pager = gateway.client.models.list(config={"page_size": 1})
    assert [model.name for model in pager] == ["models/gpt-4.1", "models/claude-sonnet-4.6"]
    assert len(gateway.paths) == 1
    assert pager.config["page_token"] is None


def test_the_sdk_reads_one_model_by_its_short_and_its_long_name() -> None:
    gateway = ScriptedGateway(models=MODELS)
    for name in ("gpt-4.1", "models/gpt-4.1"):
        found = gateway.client.models.get(model=name)
        assert found.name == "models/gpt-4.1"
        assert (found.input_token_limit, found.output_token_limit) == (111_424, 16_384)
        assert "generateContent" in (found.supported_actions or [])


def test_there_may_be_none() -> None:
    assert render_model_list([]) == {"models": []}
    gateway = ScriptedGateway()
    assert list(gateway.client.models.list()) == []
