"""What the scripts are given besides the shared gateway."""

import pytest

from tests.harness import GatewayProcess


@pytest.fixture(scope="session")
def scoped_key(gateway: GatewayProcess) -> str:
    """A key that may use gpt-4.1 and nothing else."""
    return gateway.create_key("scoped node", "--models", "gpt-4.1")
