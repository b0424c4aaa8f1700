"""The names by which models can be called here, for lists to choose from. Asks nobody."""

from datetime import datetime

from copilot_api.admin.services import PageServices
from copilot_api.gateway.offers import list_endpoints, list_offers
from copilot_api.keys.models import ApiKey

TALKS = ("chat", "responses", "messages")
"""What a model has to speak to be talked with, in whatever protocol a client speaks."""


def list_names(services: PageServices, now: datetime, key: ApiKey | None = None) -> list[str]:
    """
    Every name that a client can use, aliases first; of a key those that it may use. Empty before the catalog was read.
    """
    catalog = services.catalog()
    if catalog is None:
        return []
    offers = list_offers(catalog, services.exposure(), key, now)
    return [offer.name for offer in offers if key is None or (offer.may_use and offer.model is not None)]


def list_talkers(services: PageServices, now: datetime, key: ApiKey) -> list[str]:
    """Of those the ones that can be talked with, which leaves out what makes embeddings only."""
    catalog = services.catalog()
    if catalog is None:
        return []
    return [
        offer.name
        for offer in list_offers(catalog, services.exposure(), key, now)
        if offer.may_use and not set(TALKS).isdisjoint(list_endpoints(offer.model))
    ]
