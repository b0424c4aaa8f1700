import json

import pytest

from copilot_api.clock import SystemClock
from copilot_api.errors import Unauthorized
from copilot_api.keys.models import Tier
from tests.cli.conftest import Cli
from tests.stored import Stored


def test_recover_makes_an_admin_key_that_opens_at_once(cli: Cli, gateway: Stored) -> None:
    key = json.loads(cli("admin", "recover", "--json").out)
    gateway.keys.load()
    assert gateway.keys.authenticate(key["key"], SystemClock().now()).tier is Tier.ADMIN


def test_recover_leaves_other_admin_keys_alone_and_force_revokes_them(cli: Cli, gateway: Stored) -> None:
    old = gateway.keys.issue("old", tier=Tier.ADMIN, actor="local:me")
    cli("admin", "recover")
    gateway.keys.load()
    gateway.keys.authenticate(old.secret, SystemClock().now())
    ended = cli("admin", "recover", "--force")
    assert ended.code == 0
    assert old.key.id in ended.err
    gateway.keys.load()
    with pytest.raises(Unauthorized, match="revoked"):
        gateway.keys.authenticate(old.secret, SystemClock().now())


def test_recover_works_where_nothing_is_yet(cli: Cli) -> None:
    ended = cli("admin", "recover", "--force")
    assert ended.code == 0
    assert "revoked admin keys: none" in ended.err
