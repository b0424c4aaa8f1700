"""The operations on models: what clients can call now, and what Copilot has changed."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from copilot_api.api.admin_endpoint import Asked
from copilot_api.api.operations.account import Change, Drift
from copilot_api.clock import Clock
from copilot_api.config.settings import Exposure
from copilot_api.errors import BadRequest
from copilot_api.gateway.offers import OffersDocument, describe_offers, list_offers
from copilot_api.keys.service import KeyService
from copilot_api.upstream.catalog import Catalog
from copilot_api.upstream.drift import CatalogChange, CatalogRepository, render_change

USUAL_DRIFT = timedelta(days=30)
MAX_PAGE = 500
MAX_OF_A_MOMENT = 10_000
"""More changes than one reading of the catalog can bring."""


@dataclass(frozen=True, slots=True)
class OffersApi:
    """See the module."""

    keys: KeyService
    catalog: Callable[[], Awaitable[Catalog]]
    read_at: Callable[[], datetime | None]
    """When the catalog in force was read."""
    exposure: Callable[[], Exposure]
    catalogs: CatalogRepository
    clock: Clock

    async def list_all(self, asked: Asked) -> OffersDocument:
        """What clients can call, by the catalog and the configuration in force."""
        reference, now = asked.given.text("key"), self.clock.now()
        key = await asyncio.to_thread(self.keys.get, reference) if reference else None
        catalog, exposure = await self.catalog(), self.exposure()
        return describe_offers(list_offers(catalog, exposure, key, now), exposure, self.read_at() or now, now)

    async def list_drift(self, asked: Asked) -> Drift:
        """What Copilot has changed, a page at a time."""
        given = asked.given
        since = given.time("since") or self.clock.now() - USUAL_DRIFT
        limit, place = given.number("limit", 100, MAX_PAGE), parse_place(given.text("after"))
        return await asyncio.to_thread(self._read_drift, since, limit, place)

    def _read_drift(self, since: datetime, limit: int, place: "Place | None") -> Drift:
        """Behind `place`: what came at its very moment and was shown is read again, and passed over."""
        at, shown = (None, 0) if place is None else place
        changes = self.catalogs.list_changes(since, limit + shown + 1, at)[shown:]
        page, is_last = changes[:limit], len(changes) <= limit
        documents = [msgspec.convert(render_change(change), Change) for change in page]
        return Drift(since.isoformat(), documents, None if is_last else render_place(page, place))


Place = tuple[datetime, int]
"""The moment of the last change that was shown, and how many of that moment were."""


def render_place(page: list[CatalogChange], place: Place | None) -> str:
    """The place behind a page that itself begins at `place`, in a word."""
    at = page[-1].at
    count = sum(change.at == at for change in page) + (place[1] if place is not None and place[0] == at else 0)
    return base64.urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()} {count}".encode()).decode().rstrip("=")


def parse_place(text: str) -> Place | None:
    """A place in a word; None for none. Raises `BadRequest` for what is no place."""
    if not text:
        return None
    try:
        at, _, count = base64.urlsafe_b64decode(text.encode() + b"==").decode().partition(" ")
        place = datetime.fromisoformat(at).astimezone(UTC), int(count)
    except (ValueError, OverflowError):
        place = None
    if place is None or not 0 <= place[1] <= MAX_OF_A_MOMENT:
        raise BadRequest("after: this is no place in the list", param="after", hint="take what `next` says, as it is")
    return place
