"""The list of models, as both ecosystems read it."""

import json
from datetime import datetime

from openai.pagination import SyncPage
from openai.types import Model

from copilot_api.protocols.model_list import ListedModel, render_model, render_model_list

MODELS = [
    ListedModel("gpt-4.1", "GPT-4.1", "Azure OpenAI"),
    ListedModel("claude-sonnet-4.6", "Claude Sonnet 4.6", "Anthropic"),
    ListedModel("vendor/odd:name", "Odd", ""),
]


def test_openais_package_reads_the_list() -> None:
    page = SyncPage[Model].model_validate(json.loads(json.dumps(render_model_list(MODELS))))
    assert page.object == "list"
    assert [model.id for model in page.data] == ["gpt-4.1", "claude-sonnet-4.6", "vendor/odd:name"]
    for model in page.data:
        assert model.object == "model"
        assert type(model.created) is int
        assert isinstance(model.owned_by, str)


def test_openais_package_reads_one_model() -> None:
    assert Model.model_validate(render_model(MODELS[0]), strict=True).owned_by == "Azure OpenAI"


def test_107_anthropics_reader_finds_its_fields_and_its_end() -> None:
    """Its pager goes on for ever where `has_more` is not false."""
    document = render_model_list(MODELS)
    assert document["has_more"] is False
    assert (document["first_id"], document["last_id"]) == ("gpt-4.1", "vendor/odd:name")
    for entry, model in zip(document["data"], MODELS, strict=True):
        assert (entry["type"], entry["id"], entry["display_name"]) == ("model", model.id, model.display_name)
        assert datetime.fromisoformat(entry["created_at"]).tzinfo is not None


def test_an_empty_list_is_a_list() -> None:
    document = render_model_list([])
    assert (document["data"], document["has_more"], document["first_id"], document["last_id"]) == (
        [],
        False,
        None,
        None,
    )
