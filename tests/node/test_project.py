"""The lock files of the Node projects, by which their packages are installed."""

import pytest

from tests.agents.programs import PROJECT as AGENTS
from tests.node.project import NodeProject, check_lock_file
from tests.sdk_node.cases import PROJECT as SDKS


@pytest.mark.parametrize("project", [AGENTS, SDKS], ids=lambda project: project.directory.name)
def test_a_lock_file_pins_everything_and_names_no_registry(project: NodeProject) -> None:
    check_lock_file(project)
