from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.site import Site


@pytest.fixture(scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("live") / "home", {}) as site:
        yield site


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    """A gateway whose configuration the tests of one module change, each from the defaults on."""
    _site.put({})
    _site.calm()
    yield _site
    _site.hang_up()
    _site.calm()


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """One for a single test."""
    with Site(tmp_path / "home", {}) as site:
        yield site
