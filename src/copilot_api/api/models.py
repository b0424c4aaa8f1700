"""`GET /v1/models` and `/v1/models/{id}`: what this key may use."""

import urllib.parse

from copilot_api.api.door import Door
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import send_json
from copilot_api.errors import ModelNotFound
from copilot_api.gateway.plan import list_models
from copilot_api.protocols.model_list import render_model, render_model_list
from copilot_api.upstream.catalog import CatalogKeeper

CATALOG_PATIENCE_SECONDS = 5.0


class ModelList:
    """The list."""

    def __init__(self, door: Door, catalog: CatalogKeeper) -> None:
        self._door = door
        self._catalog = catalog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        key = await self._door.authenticate(self._door.read_head(scope))
        await self._catalog.wait_known(CATALOG_PATIENCE_SECONDS)
        models = list_models(self._catalog.current, key)
        name = scope["state"].get("rest")
        if name is None:
            await send_json(send, render_model_list(models))
            return
        found = self._catalog.current.find(urllib.parse.unquote(name))
        for model in models:
            if found is not None and model.id == found.id:
                await send_json(send, render_model(model))
                return
        raise ModelNotFound(f"there is no model '{name[:100]}' for this key", param="model")
