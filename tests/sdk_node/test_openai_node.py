"""The official `openai` package for Node, unmodified: `node/cases.mjs` runs once, each of its cases is a test here."""

import json
import re

import pytest

from tests.harness import GatewayProcess
from tests.sdk.node_project import LOCK_FILE, PROJECT, run_script

SCRIPT = PROJECT / "cases.mjs"
CASES = re.findall(r"^  '(.+)': async \(\) =>", SCRIPT.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def reports(
    gateway: GatewayProcess, client_key: str, scoped_key: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str | None]:
    """What went wrong in each case, or None."""
    variables = {
        "OPENAI_BASE_URL": f"{gateway.url}/v1",
        "OPENAI_API_KEY": client_key,
        "SCOPED_KEY": scoped_key,
        "GATEWAY_URL": gateway.url,
    }
    printed = run_script(SCRIPT, tmp_path_factory.mktemp("node"), variables)
    lines = [json.loads(line) for line in printed.splitlines()]
    return {line["name"]: line["error"] for line in lines}


def test_every_case_is_reported(reports: dict[str, str | None]) -> None:
    assert sorted(reports) == sorted(CASES)
    assert len(CASES) > 20


@pytest.mark.parametrize("name", CASES)
def test_openai_node(reports: dict[str, str | None], name: str) -> None:
    error = reports[name]
    if error is not None:
        pytest.fail(error, pytrace=False)


def test_the_lock_file_names_no_registry() -> None:
    """Where packages come from is the machine's business; their hashes are what counts."""
    text = LOCK_FILE.read_text()
    assert "://" not in text
    assert '"resolved"' not in text
    assert '"integrity": "sha512-' in text
