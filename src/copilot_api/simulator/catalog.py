"""The models this upstream offers, what each can do, and whether it was opted into."""

from dataclasses import dataclass
from typing import Any

from copilot_api.simulator.replies import Refusal, gateway_refusal, load_document, recorded
from copilot_api.simulator.wire import Json, is_array, is_count, object_at, text_at

CHAT = "/chat/completions"
RESPONSES = "/responses"
MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"
EMBEDDINGS = "/embeddings"

_ENDPOINTS_WITHOUT_LIST = {"chat": (CHAT,), "embeddings": (EMBEDDINGS,), "completion": ()}


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalog, with the fields the simulator acts on."""

    entry: Json
    id: str
    vendor: str
    version: str
    endpoints: tuple[str, ...]
    supports: Json
    max_prompt_tokens: int | None
    max_inputs: int
    multiplier: float
    efforts: tuple[str, ...]

    @property
    def is_claude(self) -> bool:
        """Anthropic's models behave unlike the others on every endpoint."""
        return self.vendor == "Anthropic"

    @property
    def is_openai(self) -> bool:
        """Served by OpenAI or Azure, with content filters on chat."""
        return self.vendor in {"OpenAI", "Azure OpenAI"}

    @property
    def refuses_max_tokens(self) -> bool:
        """The GPT-5 family and the o-series want `max_completion_tokens`."""
        return self.id.startswith(("gpt-5", "o1", "o3", "o4"))

    @property
    def dashed_id(self) -> str:
        """The id as Anthropic's own answers spell it."""
        return self.id.replace(".", "-")

    @property
    def is_newest_claude(self) -> bool:
        """Claude models of 4.6 and later refuse a prefilled assistant message."""
        return self.is_claude and bool(self.supports.get("adaptive_thinking"))

    @property
    def takes_only_adaptive_thinking(self) -> bool:
        """Opus 4.7 and later refuse a thinking budget; the catalog has no flag for it."""
        return self.id.startswith(("claude-opus-4.7", "claude-opus-4.8"))


class Catalog:
    """The model list, and the policies that calls can flip."""

    def __init__(self) -> None:
        document = load_document("models.json")
        self._entries: list[Json] = document["data"]
        self._models = {model.id: model for model in map(_read_model, self._entries)}

    @property
    def document(self) -> Json:
        """What `GET /models` answers."""
        return {"data": self._entries, "object": "list"}

    def ids(self) -> list[str]:
        """Every model id, once."""
        return list(self._models)

    def get(self, model_id: object, endpoint: str) -> Model:
        """The model for a call on that endpoint, or the refusal the upstream has for it."""
        model = self._models.get(model_id) if isinstance(model_id, str) else None
        if model is None or text_at(object_at(model.entry, "policy"), "state") in {"disabled", "unconfigured"}:
            raise recorded("model_not_supported")
        wanted = MESSAGES if endpoint == COUNT_TOKENS else endpoint
        if wanted not in model.endpoints:
            raise _wrong_endpoint(model, endpoint)
        return model

    def set_policy(self, model_id: str, state: str) -> bool:
        """Opt a model in or out; False when there is no such model."""
        model = self._models.get(model_id)
        if model is None:
            return False
        policy = object_at(model.entry, "policy")
        model.entry["policy"] = {**policy, "state": state}
        return True


def _wrong_endpoint(model: Model, endpoint: str) -> Refusal:
    if endpoint == RESPONSES:
        return gateway_refusal(f"model {model.id} does not support Responses API.", "unsupported_api_for_model")
    message = f"model {model.id} is not accessible via the {endpoint} endpoint"
    return gateway_refusal(message, "unsupported_api_for_model")


def _read_model(entry: Json) -> Model:
    capabilities = object_at(entry, "capabilities")
    limits = object_at(capabilities, "limits")
    supports = object_at(capabilities, "supports")
    efforts: Any = supports.get("reasoning_effort")
    listed: Any = entry.get("supported_endpoints")
    max_prompt_tokens = limits.get("max_prompt_tokens")
    return Model(
        entry=entry,
        id=text_at(entry, "id"),
        vendor=text_at(entry, "vendor"),
        version=text_at(entry, "version"),
        endpoints=tuple(listed) if is_array(listed) else _ENDPOINTS_WITHOUT_LIST[text_at(capabilities, "type")],
        supports=supports,
        max_prompt_tokens=max_prompt_tokens if is_count(max_prompt_tokens) else None,
        max_inputs=int(limits.get("max_inputs") or 512),
        multiplier=float(object_at(entry, "billing").get("multiplier") or 0),
        efforts=tuple(efforts) if is_array(efforts) else (),
    )
