"""The official `@anthropic-ai/sdk` package for Node, unmodified: `anthropic.mjs` runs once, each of its cases is a test here."""

import pytest

from tests.harness import GatewayProcess
from tests.sdk_node.cases import Reports, case_names, check, run

SCRIPT = "anthropic.mjs"


@pytest.fixture(scope="module")
def reports(
    gateway: GatewayProcess, client_key: str, scoped_key: str, tmp_path_factory: pytest.TempPathFactory
) -> Reports:
    """What went wrong in each case, or None."""
    variables = {
        "ANTHROPIC_BASE_URL": gateway.url,
        "ANTHROPIC_API_KEY": client_key,
        "SCOPED_KEY": scoped_key,
    }
    return run(SCRIPT, tmp_path_factory.mktemp("node"), variables)


def test_every_case_is_reported(reports: Reports) -> None:
    assert sorted(reports) == sorted(case_names(SCRIPT))
    assert len(reports) > 15


@pytest.mark.parametrize("name", case_names(SCRIPT))
def test_anthropic_node(reports: Reports, name: str) -> None:
    check(reports, name)
