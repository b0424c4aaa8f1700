"""What the pages ask is there, and cannot be exchanged behind their backs."""

from dataclasses import FrozenInstanceError

import pytest

from copilot_api.admin.services import PageServices
from tests.admin.services import World


def test_services_are_made_once(world: World) -> None:
    services: PageServices = world.services
    with pytest.raises(FrozenInstanceError):
        services.clock = world.clock  # type: ignore[misc]


def test_the_latest_quota_is_asked_nobody_for(world: World) -> None:
    assert world.services.quota.reading is None
    assert world.services.quota.failure is None
