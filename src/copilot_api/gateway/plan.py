"""Plan: which model a call gets and by which route it goes. Pure: a refusal here has cost nothing."""

import msgspec
from msgspec.structs import replace

from copilot_api.config.settings import Exposure, ModelAlias
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


class Choice(msgspec.Struct, frozen=True):
    """What a name means to a key."""

    models: tuple[Model, ...]
    """The model, and those that take its place when it cannot answer."""
    alias: ModelAlias | None = None
    is_out_of_scope: bool = False


def make_plan(request: ParsedRequest, surface: Surface, choice: Choice, model: Model) -> Plan:
    """The plan to have `request` answered by `model`, one of `choice`. Raises what speaks against it."""
    traits = model.traits
    if choice.alias is not None and choice.alias.default_effort:
        traits = replace(traits, default_effort=choice.alias.default_effort)
    is_billed = request.initiator == "user"
    return Plan(
        model=model,
        route=_choose_route(request, surface, model, traits),
        premium_requests=model.multiplier if is_billed else 0.0,
        is_out_of_scope=choice.is_out_of_scope,
    )


def choose(name: str, key: ApiKey, catalog: Catalog, exposure: Exposure) -> Choice:
    """The models that `key` means by `name`. Raises what speaks against using them."""
    alias = exposure.aliases.get(name)
    if alias is None and exposure.default_alias and not _is_exposed(name, catalog, exposure):
        name = exposure.default_alias
        alias = exposure.aliases.get(name)
    if alias is None and not _is_exposed(name, catalog, exposure):
        raise ModelNotFound(f"there is no model '{name[:100]}'", param="model")
    if alias is None:
        names: tuple[str, ...] = (name,)
    else:
        if not alias.is_enabled:
            raise ModelNotFound(f"the model '{name}' is switched off here", param="model")
        names = (alias.upstream, *alias.fallback)
    found = [model for model in map(catalog.find, names) if model is not None]
    if not found:
        raise ModelNotFound(f"there is no model '{name[:100]}'", param="model")
    is_in_scope = is_allowed(found[0], name, key, alias)
    if not is_in_scope and not key.policy.observes("models"):
        raise ModelNotAllowed(f"this key may not use the model '{name}'", param="model")
    enabled = tuple([model for model in found if model.is_enabled])
    if not enabled:
        raise ModelNotFound(
            f"the model '{name}' is not enabled for this Copilot account",
            param="model",
            hint="the account's owner enables it in GitHub's Copilot settings",
        )
    return Choice(enabled, alias, not is_in_scope)


def _is_exposed(name: str, catalog: Catalog, exposure: Exposure) -> bool:
    return not exposure.is_listed_only and catalog.find(name) is not None


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


def is_allowed(model: Model, name: str, key: ApiKey, alias: ModelAlias | None = None) -> bool:
    """Whether `key` may use `model`, called `name`: by its own scope, and by what the name's entry says of keys."""
    callers = ("*",) if alias is None else alias.allowed_keys
    if "*" not in callers and not {key.id, key.label, key.prefix} & set(callers):
        return False
    return key.policy.allows_model(name) or key.policy.allows_model(model.id)


def list_models(catalog: Catalog, key: ApiKey, exposure: Exposure) -> list[ListedModel]:
    """What `key` can really use, aliases first: enabled, allowed, and spoken on an endpoint of this gateway."""
    names = list(exposure.aliases)
    if not exposure.is_listed_only:
        names += [model.id for model in catalog.models if model.id not in exposure.aliases]
    listed: list[ListedModel] = []
    for name in names:
        try:
            model = choose(name, key, catalog, exposure).models[0]
        except GatewayError:
            continue
        if model.endpoints & _SERVED:
            listed.append(
                ListedModel(
                    id=name,
                    display_name=model.name if name == model.id else name,
                    owned_by=model.vendor,
                    max_input_tokens=model.traits.max_prompt_tokens,
                    max_output_tokens=model.traits.max_output_tokens,
                )
            )
    return listed


def broken_aliases(exposure: Exposure, catalog: Catalog) -> list[str]:
    """The aliases that nothing answers for: neither their model nor one that would take its place is in the catalog."""
    return [
        name
        for name, alias in exposure.aliases.items()
        if alias.is_enabled and not any([catalog.find(model) for model in (alias.upstream, *alias.fallback)])
    ]
