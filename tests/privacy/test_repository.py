"""The ports are what the services ask for."""

from copilot_api.privacy.repository import PrivacyRepository
from copilot_api.storage.privacy import SqlPrivacyRepository
from tests.privacy.site import Site


def test_the_sql_repository_is_one(site: Site) -> None:
    port: PrivacyRepository = site.repository
    assert isinstance(port, SqlPrivacyRepository)
