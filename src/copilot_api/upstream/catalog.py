"""The models that Copilot offers this account, what each one speaks, and what it costs."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from copilot_api.errors import CatalogUnavailable, GatewayError, UpstreamFailed, UpstreamUnauthorized
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.untyped import list_of, object_of, text_of
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.prices import TokenPrices, parse_prices

REFRESH_SECONDS = 600.0
RETRY_SECONDS = 15.0

CHAT, RESPONSES, MESSAGES, EMBEDDINGS = "/chat/completions", "/responses", "/v1/messages", "/embeddings"

_DATED = re.compile(r"-\d{8}$")
_DASHED_VERSION = re.compile(r"-(\d+)-(\d{1,2})(?=$|-)")


class _Policy(msgspec.Struct):
    state: str | None = None


class _Billing(msgspec.Struct):
    multiplier: float | None = None
    is_premium: bool | None = None
    token_prices: Any = None


class _Capabilities(msgspec.Struct):
    type: str | None = None
    supports: Any = None
    limits: Any = None
    tokenizer: Any = None


class _Entry(msgspec.Struct):
    """An entry as far as it is read here. Everything but the id may be missing."""

    id: str
    name: str | None = None
    vendor: str | None = None
    capabilities: _Capabilities | None = None
    supported_endpoints: list[str] | None = None
    policy: _Policy | None = None
    billing: _Billing | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalog."""

    id: str
    name: str
    vendor: str
    type: str
    endpoints: frozenset[str]
    is_enabled: bool
    multiplier: float
    """Premium requests that one user-initiated call costs on the plans that still count them."""
    traits: ModelTraits
    """What of it decides how a request to it is written."""
    prices: TokenPrices | None = None
    """What its tokens cost, where the catalog says."""


class Catalog:
    """One reading of the catalog."""

    def __init__(self, models: list[Model]) -> None:
        self.models = models
        self._by_id = {model.id: model for model in reversed(models)}  # ids repeat; the first one counts

    def find(self, name: str) -> Model | None:
        """
        The model that clients call `name`: its id, or Anthropic's own spelling of it (`claude-sonnet-4-5-20250929` for
        `claude-sonnet-4.5`), which that vendor's tools send.
        """
        model = self._by_id.get(name)
        if model is None and name.startswith("claude-"):
            model = self._by_id.get(_DASHED_VERSION.sub(r"-\1.\2", _DATED.sub("", name)))
        return model


def parse_catalog(document: dict[str, Any]) -> Catalog:
    """The catalog in Copilot's answer; entries that cannot be read are left out."""
    models: dict[str, Model] = {}
    for raw in list_of(document.get("data")):
        with contextlib.suppress(msgspec.ValidationError):
            model = _parse_entry(msgspec.convert(raw, _Entry, strict=False))
            models.setdefault(model.id, model)
    return Catalog(list(models.values()))


def _parse_entry(entry: _Entry) -> Model:
    kind = (entry.capabilities and entry.capabilities.type) or "chat"
    if entry.supported_endpoints is not None:
        endpoints = frozenset(endpoint for endpoint in entry.supported_endpoints if endpoint.startswith("/"))
    else:
        # Older models do not say: they speak chat completions only, or make embeddings (protocol reference, 6).
        endpoints = frozenset({"chat": {CHAT}, "embeddings": {EMBEDDINGS}}.get(kind, set()))
    billing = entry.billing
    multiplier = billing.multiplier if billing and billing.multiplier is not None else 0.0
    return Model(
        id=entry.id,
        name=entry.name or entry.id,
        vendor=entry.vendor or "",
        type=kind,
        endpoints=endpoints,
        is_enabled=entry.policy is None or entry.policy.state in {None, "enabled"},
        multiplier=multiplier,
        traits=_parse_traits(entry),
        prices=parse_prices(billing.token_prices) if billing else None,
    )


def _parse_traits(entry: _Entry) -> ModelTraits:
    """What the catalog says of a model's abilities; it has no version, so what is of an unknown type is not said."""
    capabilities = entry.capabilities or _Capabilities()
    supports, limits = object_of(capabilities.supports), object_of(capabilities.limits)
    return ModelTraits(
        id=entry.id,
        vendor=entry.vendor or "",
        max_output_tokens=_count(limits.get("max_output_tokens")),
        max_prompt_tokens=_count(limits.get("max_prompt_tokens")),
        efforts=tuple(effort for effort in list_of(supports.get("reasoning_effort")) if isinstance(effort, str)),
        has_adaptive_thinking=supports.get("adaptive_thinking") is True,
        min_thinking_budget=_count(supports.get("min_thinking_budget")),
        max_thinking_budget=_count(supports.get("max_thinking_budget")),
        has_structured_outputs=supports.get("structured_outputs") is True,
        tokenizer=text_of(capabilities.tokenizer) or "o200k_base",
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


class CatalogKeeper:
    """The latest catalog, read again every ten minutes; the old one stays when that fails."""

    def __init__(
        self,
        github: GitHub,
        sessions: CopilotSessions,
        *,
        on_failed: Callable[[GatewayError], None] = lambda _: None,
        on_read: Callable[[dict[str, Any], Catalog], None] = lambda _document, _catalog: None,
    ) -> None:
        self._github = github
        self._sessions = sessions
        self._on_failed = on_failed
        self._on_read = on_read
        """Is told each reading, as it came and as it was understood; it must not raise, nor block."""
        self._catalog: Catalog | None = None
        self.failure: GatewayError | None = None
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()

    @property
    def is_known(self) -> bool:
        """Whether the catalog has been read at least once."""
        return self._catalog is not None

    @property
    def current(self) -> Catalog:
        """The latest catalog. Raises `CatalogUnavailable`, with the reason, when there is none yet."""
        if self._catalog is None:
            reason = f": {self.failure.message}" if self.failure else ""
            raise CatalogUnavailable(f"the list of Copilot's models is not known yet{reason}", retry_after=2.0)
        return self._catalog

    async def wait_known(self, seconds: float) -> None:
        """Wait a moment for the first reading: a call may come right after the start."""
        if self._catalog is None and self.failure is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    def renew(self) -> None:
        """Read it again at once: it is another account's, or may be."""
        self._wanted.set()

    async def run(self) -> None:
        """Read and read again, for ever."""
        while True:
            self._wanted.clear()
            try:
                document = await self._fetch()
                self._catalog = parse_catalog(document)
                self.failure = None
                self._on_read(document, self._catalog)
            except GatewayError as error:
                self.failure = error
                self._on_failed(error)
            except Exception as error:  # noqa: BLE001 -- a surprise in an answer must not end every call under way
                self.failure = UpstreamFailed(f"the catalog could not be read: {type(error).__name__}")
                self._on_failed(self.failure)
            self._changed.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS if self.failure is None else RETRY_SECONDS):
                    await self._wanted.wait()

    async def _fetch(self) -> dict[str, Any]:
        """The catalog's document; a bearer that is refused is renewed once."""
        session = await self._sessions.get()
        try:
            return await self._github.fetch_models(session.api, session.bearer)
        except UpstreamUnauthorized:
            await self._sessions.renew_after(session)
        session = await self._sessions.get()
        return await self._github.fetch_models(session.api, session.bearer)
