"""The files that pages load."""

from copilot_api.admin.answers import Answer, Content
from copilot_api.admin.assets import Assets
from copilot_api.admin.requests import AdminRequest
from copilot_api.errors import RouteNotFound


class AssetViews:
    """See the module."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    async def show(self, request: AdminRequest) -> Answer:
        """One of them."""
        version, name = request.parameters["version"], request.parameters["name"]
        found = self._assets.answer(version, name, request.header(b"accept-encoding"))
        if found is None:
            raise RouteNotFound("there is no such file")
        return Content(found.body, headers=found.headers)
