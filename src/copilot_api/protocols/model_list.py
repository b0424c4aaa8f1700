"""
The list of models, in one shape that both ecosystems read: OpenAI's keys and Anthropic's stand side by side.

OpenAI's SDKs look for `object`, `data[].object`, `created`, `owned_by`; Anthropic's for `data[].type`, `display_name`,
`created_at`, `has_more`, `first_id`, `last_id`. None minds the other's keys.
"""

from dataclasses import dataclass
from typing import Any

_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model as the caller may use it: `id` is the name to send."""

    id: str
    display_name: str
    owned_by: str
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None


def render_model(model: ListedModel) -> dict[str, Any]:
    """One entry. Copilot does not say when a model was made, so the time is the epoch, as for other gateways."""
    limits = {"max_input_tokens": model.max_input_tokens, "max_tokens": model.max_output_tokens}
    return {
        "id": model.id,
        "object": "model",
        "created": 0,
        "owned_by": model.owned_by,
        "type": "model",
        "display_name": model.display_name,
        "created_at": _EPOCH,
        **{name: limit for name, limit in limits.items() if limit is not None},
    }


def render_model_list(models: list[ListedModel]) -> dict[str, Any]:
    """The whole list; there is never a second page."""
    return {
        "object": "list",
        "data": [render_model(model) for model in models],
        "has_more": False,
        "first_id": models[0].id if models else None,
        "last_id": models[-1].id if models else None,
    }
