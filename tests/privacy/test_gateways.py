"""What the tools ask of gateways is what the command line answers."""

from pathlib import Path

from copilot_api.cli.privacy_tools import LocalGateways
from copilot_api.privacy.gateways import Gateways


def test_without_a_socket_there_is_no_gateway(tmp_path: Path) -> None:
    port: Gateways = LocalGateways(tmp_path)
    assert (port.count(), port.count_traces("key_a", set()), list(port.list_traces("key_a", set()))) == (0, 0, [])
