"""How clients are pointed at this gateway: something to paste for each, and a probe of each protocol."""

from dataclasses import dataclass

from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.causes import words_of
from copilot_api.admin.client_setups import (
    PLACEHOLDER,
    SETUPS,
    ClientSetup,
    Connection,
    choose_model,
    export_key,
    find_setup,
)
from copilot_api.admin.components import Choice, Column, Tone
from copilot_api.admin.links import page_url
from copilot_api.admin.model_names import list_talkers
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.api.probes import PROTOCOLS, Probed
from copilot_api.errors import BadRequest

SET_UP = "/admin/set-up"
MAX_MODEL = 200
EVERY = "all"
_LABELS = {
    "chat": "Chat Completions",
    "responses": "Responses",
    "messages": "Messages",
    "gemini": "Gemini",
}
_WHOSE = {"chat": "OpenAI", "responses": "OpenAI", "messages": "Anthropic", "gemini": "Google"}
_PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/…",
}
_COLUMNS = (
    Column("protocol", "Protocol"),
    Column("outcome", "Outcome"),
    Column("model", "Answered by"),
    Column("ttft", "First token", is_number=True),
    Column("duration", "Time taken", is_number=True),
    Column("credits", "Credits", is_number=True),
    Column("try", ""),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A protocol, and what its probe found."""

    name: str
    label: str
    whose: str
    path: str
    clients: str
    """Those that speak it."""
    probed: Probed | None
    meaning: str
    tone: Tone


class SetUpViews:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def show(self, request: AdminRequest) -> Answer:
        """The page for the client in the URL."""
        setup = find_setup(request.query.get("client") or SETUPS[0].name)
        if setup is None:
            raise BadRequest("this client is not known here", param="client", hint="docs/guides/clients.md has more")
        return self._show(request, setup, request.query.get("model"), {})

    async def probe(self, request: AdminRequest) -> Answer:
        """
        Makes one small call in a protocol, or in each, as the key of whoever asks, and shows what came of it. One after
        the other, since a key may be held to one call at a time.
        """
        setup = find_setup(request.form.get("client")) or SETUPS[0]
        model, wanted = request.form.get("model").strip(), request.form.get("protocol")
        if not 0 < len(model) <= MAX_MODEL:
            raise BadRequest(f"a model's name has 1 to {MAX_MODEL} characters", param="model")
        if wanted not in {EVERY, *PROTOCOLS}:
            raise BadRequest("there is no such protocol", param="protocol", hint=", ".join(PROTOCOLS))
        protocols = PROTOCOLS if wanted == EVERY else (wanted,)
        found = {each: await self._services.probes.run(request.key, each, model) for each in protocols}
        return self._show(request, setup, model, found)

    def _show(self, request: AdminRequest, setup: ClientSetup, wanted: str, probed: dict[str, Probed]) -> Page:
        names = list_talkers(self._services, request.now, request.key)
        model = (wanted if wanted in names or probed else None) or choose_model(names, setup)
        connection = Connection(request.arrival.base_url, model or "gpt-4.1")
        data: dict[str, object] = {
            "setup": setup,
            "tabs": _list_tabs(setup, wanted if wanted in names else ""),
            "model": model,
            "models": [(name, name) for name in names],
            "key": request.key,
            "key_line": export_key(),
            "placeholder": PLACEHOLDER,
            "blocks": setup.blocks(connection),
            "protocol": _LABELS[setup.protocol],
            "base_url": request.arrival.base_url,
            "columns": _COLUMNS,
            "rows": [_make_row(name, probed.get(name)) for name in PROTOCOLS],
            "every": EVERY,
            "is_probed": bool(probed),
        }
        return Page("set_up/page.html", data)


def _list_tabs(current: ClientSetup, model: str) -> list[Choice]:
    return [Choice(each.label, page_url(SET_UP, (), client=each.name, model=model), each is current) for each in SETUPS]


def _make_row(name: str, probed: Probed | None) -> _Row:
    clients = ", ".join(each.label for each in SETUPS if each.protocol == name)
    words = None if probed is None else words_of(probed.cause)
    return _Row(
        name,
        _LABELS[name],
        _WHOSE[name],
        _PATHS[name],
        clients,
        probed,
        "" if words is None else words.meaning,
        "" if words is None else words.tone,
    )
