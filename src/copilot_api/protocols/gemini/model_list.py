"""The list of models as Google gives it, on one page."""

from typing import Any

from copilot_api.protocols.model_list import ListedModel

_METHODS = ("generateContent", "streamGenerateContent", "countTokens")


def render_model(model: ListedModel) -> dict[str, Any]:
    """One entry; its name is a resource's, its id what the caller sends in the path."""
    limits = {"inputTokenLimit": model.max_input_tokens, "outputTokenLimit": model.max_output_tokens}
    return {
        "name": f"models/{model.id}",
        "baseModelId": model.id,
        "version": model.id,
        "displayName": model.display_name,
        "description": f"{model.display_name} by way of GitHub Copilot",
        **{name: limit for name, limit in limits.items() if limit is not None},
        "supportedGenerationMethods": list(_METHODS),
    }


def render_model_list(models: list[ListedModel]) -> dict[str, Any]:
    """The whole list; without `nextPageToken` no client asks for another page."""
    return {"models": [render_model(model) for model in models]}
