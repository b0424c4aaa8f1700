"""Plan: which model a call gets and by which route it goes. Pure: a refusal here has cost nothing."""

import msgspec
from msgspec.structs import replace

from copilot_api.config.settings import Aliases
from copilot_api.errors import GatewayError, ModelNotAllowed, ModelNotFound
from copilot_api.gateway.surface import NativeRoute, Route, Surface, TranslatedRoute
from copilot_api.gateway.upstreams import UPSTREAMS
from copilot_api.keys.models import ApiKey
from copilot_api.protocols.base import ModelTraits, ParsedRequest
from copilot_api.protocols.model_list import ListedModel
from copilot_api.upstream.catalog import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Catalog, Model


class ModelLacksEndpoint(GatewayError):
    """The model exists and does not speak this protocol."""

    number, code, status = 208, "unsupported_api_for_model", 400
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "GET /v1/models lists the models that this gateway can serve"


class Plan(msgspec.Struct, frozen=True):
    """What is to be done."""

    model: Model
    route: Route
    premium_requests: float
    """What the call costs on a plan that counts premium requests."""
    is_out_of_scope: bool = False
    """Whether the key may not use the model, and that is only observed."""


def make_plan(request: ParsedRequest, surface: Surface, key: ApiKey, catalog: Catalog, aliases: Aliases) -> Plan:
    """The plan for `request`. Raises what speaks against it."""
    model = find_model(request.model, key, catalog, aliases)
    alias = aliases.get(request.model)
    traits = model.traits
    if alias is not None and alias.default_effort:
        traits = replace(traits, default_effort=alias.default_effort)
    is_billed = request.initiator == "user"
    return Plan(
        model=model,
        route=_choose_route(request, surface, model, traits),
        premium_requests=model.multiplier if is_billed else 0.0,
        is_out_of_scope=not is_allowed(model, request.model, key),
    )


def find_model(name: str, key: ApiKey, catalog: Catalog, aliases: Aliases) -> Model:
    """The model that `key` means by `name`. Raises what speaks against using it."""
    alias = aliases.get(name)
    model = catalog.find(name if alias is None else alias.upstream)
    if model is None:
        raise ModelNotFound(f"there is no model '{name[:100]}'", param="model")
    if not is_allowed(model, name, key) and not key.policy.observes("models"):
        raise ModelNotAllowed(f"this key may not use the model '{name}'", param="model")
    if not model.is_enabled:
        raise ModelNotFound(
            f"the model '{name}' is not enabled for this Copilot account",
            param="model",
            hint="the account's owner enables it in GitHub's Copilot settings",
        )
    return model


def _choose_route(request: ParsedRequest, surface: Surface, model: Model, traits: ModelTraits) -> Route:
    native = surface.native
    if native is not None and native.upstream_endpoint in model.endpoints:
        return NativeRoute(request, native, traits, surface.client, UPSTREAMS.get(native.upstream_endpoint))
    if surface.client is not None:
        for endpoint in _PREFERENCES[_family(model)]:
            if endpoint in model.endpoints:
                return TranslatedRoute(request, surface.client, UPSTREAMS[endpoint], traits)
    speaks = ", ".join(sorted(model.endpoints)) or "none that is known"
    raise ModelLacksEndpoint(
        f"the model '{request.model}' cannot be used on {surface.endpoint} (Copilot serves it on: {speaks})",
        param="model",
    )


_SERVED = {CHAT, RESPONSES, MESSAGES, EMBEDDINGS}
_PREFERENCES = {
    # Where a vendor's own protocol is served, reasoning can be replayed and nothing is lost on the way.
    "claude": (MESSAGES, CHAT, RESPONSES),
    "openai": (RESPONSES, CHAT, MESSAGES),
    "other": (CHAT, RESPONSES, MESSAGES),
}


def _family(model: Model) -> str:
    if model.traits.is_claude:
        return "claude"
    return "openai" if model.traits.is_openai else "other"


def is_allowed(model: Model, name: str, key: ApiKey) -> bool:
    """Whether `key` may use `model`, called `name`."""
    return key.policy.allows_model(name) or key.policy.allows_model(model.id)


def list_models(catalog: Catalog, key: ApiKey, aliases: Aliases) -> list[ListedModel]:
    """What `key` can really use, aliases first: enabled, allowed, and spoken on an endpoint of this gateway."""
    named = [(name, catalog.find(alias.upstream)) for name, alias in aliases.items()]
    named += [(model.id, model) for model in catalog.models if model.id not in aliases]
    return [
        ListedModel(
            id=name,
            display_name=model.name if name == model.id else name,
            owned_by=model.vendor,
            max_input_tokens=model.traits.max_prompt_tokens,
            max_output_tokens=model.traits.max_output_tokens,
        )
        for name, model in named
        if model is not None
        and model.is_enabled
        and model.endpoints & _SERVED
        and (is_allowed(model, name, key) or key.policy.observes("models"))
    ]
