"""The scripts of this directory: each runs once and prints a line of JSON for each of its cases."""

import json
import re
from pathlib import Path

import pytest

from tests.node.project import NodeProject

PROJECT = NodeProject(Path(__file__).parent)

Reports = dict[str, str | None]
"""What went wrong in each case, or None."""


def case_names(script: str) -> list[str]:
    """The names of the cases, as they stand in the script."""
    source = (PROJECT.directory / script).read_text()
    return re.findall(r"^  '(.+)': async \(\) =>", source, re.MULTILINE)


def run(script: str, directory: Path, variables: dict[str, str]) -> Reports:
    """Run a script in an empty directory."""
    printed = PROJECT.run_script(script, directory, variables)
    lines = [json.loads(line) for line in printed.splitlines()]
    return {line["name"]: line["error"] for line in lines}


def check(reports: Reports, name: str) -> None:
    """Fail with what the case itself said."""
    error = reports[name]
    if error is not None:
        pytest.fail(error, pytrace=False)
