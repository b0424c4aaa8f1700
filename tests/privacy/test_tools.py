"""What export and erasure are done with, put together anew for each use."""

from copilot_api.cli.privacy_tools import make_privacy_tools
from copilot_api.cli.stores import Stores
from tests.privacy.site import Site


def test_each_use_has_a_name_of_its_own_to_take_over_the_journal_with(site: Site) -> None:
    """Two erasures of one process must not take over the same files under the same name."""
    stored = site.stored
    stores = Stores(
        site.clock,
        stored.keys,
        stored.usage,
        stored.stops,
        stored.catalogs,
        stored.directory,
        stored.database,
        stored.audit,
    )
    first, second = make_privacy_tools(stores), make_privacy_tools(stores)
    assert first.eraser.process_name != second.eraser.process_name
    assert first.subjects.get(site.key.id).id == site.key.id
    assert first.exporter.directory == first.eraser.directory == stored.directory
