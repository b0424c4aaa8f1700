"""Plan: which model a call gets and what goes upstream. Pure: a refusal here has cost nothing."""

import msgspec

from copilot_api.errors import GatewayError, ModelNotAllowed, ModelNotFound
from copilot_api.gateway.surface import Surface
from copilot_api.keys.models import ApiKey
from copilot_api.protocols.base import ParsedRequest
from copilot_api.protocols.model_list import ListedModel
from copilot_api.upstream.catalog import CHAT, EMBEDDINGS, Catalog, Model


class ModelLacksEndpoint(GatewayError):
    """The model exists and does not speak this protocol."""

    number, code, status = 208, "unsupported_api_for_model", 400
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "GET /v1/models lists the models that this gateway can serve"


class Plan(msgspec.Struct, frozen=True):
    """What is to be done."""

    model: Model
    upstream_endpoint: str
    premium_requests: float
    """What the call costs on a plan that counts premium requests."""


def make_plan(request: ParsedRequest, surface: Surface, key: ApiKey, catalog: Catalog) -> Plan:
    """The plan for `request`. Raises what speaks against it."""
    model = catalog.find(request.model)
    if model is None:
        raise ModelNotFound(f"there is no model '{request.model[:100]}'", param="model")
    if not is_allowed(model, request.model, key):
        raise ModelNotAllowed(f"this key may not use the model '{request.model}'", param="model")
    if not model.is_enabled:
        raise ModelNotFound(
            f"the model '{request.model}' is not enabled for this Copilot account",
            param="model",
            hint="the account's owner enables it in GitHub's Copilot settings",
        )
    if surface.upstream_endpoint not in model.endpoints:
        speaks = ", ".join(sorted(model.endpoints)) or "none that is known"
        raise ModelLacksEndpoint(
            f"the model '{request.model}' cannot be used on {surface.endpoint} (Copilot serves it on: {speaks})",
            param="model",
        )
    is_billed = request.initiator == "user"
    return Plan(model, surface.upstream_endpoint, model.multiplier if is_billed else 0.0)


def is_allowed(model: Model, name: str, key: ApiKey) -> bool:
    """Whether `key` may use `model`, called `name`."""
    return key.policy.allows_model(name) or key.policy.allows_model(model.id)


def list_models(catalog: Catalog, key: ApiKey) -> list[ListedModel]:
    """What `key` can really use: enabled, allowed, and spoken on an endpoint of this gateway."""
    return [
        ListedModel(model.id, model.name, model.vendor)
        for model in catalog.models
        if model.is_enabled and model.endpoints & {CHAT, EMBEDDINGS} and is_allowed(model, model.id, key)
    ]
