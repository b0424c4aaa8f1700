"""`GET /v1/models` and `/v1/models/{id}`: what this key may use."""

import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from copilot_api.api.door import Door
from copilot_api.api.errors import is_google
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import send_json
from copilot_api.config.settings import Exposure
from copilot_api.errors import ModelNotFound
from copilot_api.gateway.plan import list_models
from copilot_api.protocols.gemini import model_list as gemini_model_list
from copilot_api.protocols.model_list import ListedModel, render_model, render_model_list
from copilot_api.upstream.catalog import CatalogKeeper

CATALOG_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ListForm:
    """How an ecosystem writes its list of models, and one of them."""

    render_list: Callable[[list[ListedModel]], dict[str, Any]]
    render_one: Callable[[ListedModel], dict[str, Any]]


SHARED_FORM = ListForm(render_model_list, render_model)
"""OpenAI's and Anthropic's at once."""
GEMINI_FORM = ListForm(gemini_model_list.render_model_list, gemini_model_list.render_model)


class ModelList:
    """The list, in the form of whoever asks."""

    def __init__(self, door: Door, catalog: CatalogKeeper, exposure: Callable[[], Exposure]) -> None:
        self._door = door
        self._catalog = catalog
        self._exposure = exposure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        head = self._door.read_head(scope)
        key = await self._door.authenticate(head, scope)
        form = GEMINI_FORM if scope["path"].startswith("/v1beta") or is_google(head) else SHARED_FORM
        await self._catalog.wait_known(CATALOG_PATIENCE_SECONDS)
        exposure = self._exposure()
        models = list_models(self._catalog.current, key, exposure)
        rest = scope["state"].get("rest")
        if rest is None:
            await send_json(send, form.render_list(models))
            return
        name = urllib.parse.unquote(rest)
        found = self._catalog.current.find(name)
        wanted = {name} if name in exposure.aliases or found is None else {name, found.id}
        for model in models:
            if model.id in wanted:
                await send_json(send, form.render_one(model))
                return
        raise ModelNotFound(f"there is no model '{name[:100]}' for this key", param="model")
