import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_api.cli.config_preview import preview_command
from copilot_api.cli.program import run
from copilot_api.clock import SystemClock
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.usage.models import Cause, UsageEvent
from tests.cli.conftest import Ended
from tests.stored import Stored

NOW = SystemClock().now()
CHEAP, DEAR = 100, 1000
"""Credits for a million tokens."""

Preview = Callable[..., Ended]


def entry(model: str, price: int) -> dict[str, Any]:
    prices = {"batch_size": 1_000_000, "default": {"input_price": price, "output_price": price}}
    return {"id": model, "billing": {"token_prices": prices}}


@pytest.fixture
def key_id(gateway: Stored) -> str:
    """A gateway has run here: it has read the catalog and served calls of one key."""
    SqlCatalogRepository(gateway.database).record([entry("cheap", CHEAP), entry("dear", DEAR)], NOW, [])
    key = gateway.keys.issue("ci", actor="local:me").key
    gateway.usage.add_events(
        [
            UsageEvent(
                request_id=f"req_{days}", at=(NOW - timedelta(days=days)).isoformat(), key_id=key.id, identity_id="default",
                endpoint="/v1/chat/completions", model="cheap", upstream_model="cheap", cause=Cause.OK, status=200, input_tokens=1_000_000,
            )
            for days in (1, 2, 6, 8)
        ]
    )  # fmt: skip
    return key.id


@pytest.fixture
def preview(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Preview:
    """Holds a configuration against what is stored."""

    def call(proposed: Any, *arguments: str) -> Ended:
        path = tmp_path / "proposed.json"
        path.write_text(proposed if isinstance(proposed, str) else json.dumps(proposed))
        code = run([str(path), *arguments], preview_command)  # type: ignore[arg-type]
        return Ended(code, *capsys.readouterr())

    return call


def use(home: Path, config: Any) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "config.json").write_text(json.dumps(config))


def test_json_is_the_impact_on_the_last_week(preview: Preview, key_id: str) -> None:
    document = json.loads(preview({"models": {"cheap": {"upstream": "dear"}}}, "--json").out)
    assert document.keys() == {"since", "until", "rows", "total", "left_out"}
    (row,) = document["rows"]
    assert (row["key_id"], row["label"], row["requests"], row["effect"]) == (key_id, "ci", 3, "changes")
    assert (row["before"]["model"], row["after"]["model"]) == ("cheap", "dear")
    assert (row["credits_before"], row["credits_after"]) == (300.0, 3000.0)
    assert document["total"]["credits_difference"] == 2700.0


def test_the_period_can_be_another(preview: Preview, key_id: str) -> None:
    assert json.loads(preview({}, "--json", "--since", "9d").out)["total"]["requests"] == 4
    assert json.loads(preview({}, "--json", "--since", "36h").out)["total"]["requests"] == 1
    refused = preview({}, "--since", "2999-01-01")
    assert (refused.code, "--since must be in the past" in refused.err) == (2, True)


def test_people_get_a_table_of_what_differs_and_a_summary(preview: Preview, key_id: str) -> None:
    ended = preview({"exposure": "listed", "models": {"fast": {"upstream": "cheap"}}})
    table, summary = ended.out.split("\n\n")
    assert table.splitlines()[1].split() == [
        "ci",
        "cheap",
        "3",
        "fails",
        "cheap",
        "(model_not_found)",
        "300.00",
        "0.00",
    ]
    fields = dict(line.split("  ", 1) for line in summary.strip().splitlines())
    assert fields["would fail"].strip() == "3"
    assert fields["credits"].strip() == "-300.00, by the catalog's prices"
    assert ended.code == 0


def test_where_nothing_differs_there_is_no_table(preview: Preview, key_id: str) -> None:
    out = preview({}).out
    assert "stay as they are" in out
    assert out.startswith("calls")
    assert "credits" not in out


def test_what_is_proposed_is_held_against_the_configuration_in_force(preview: Preview, key_id: str, home: Path) -> None:
    use(home, {"models": {"cheap": {"upstream": "dear"}}})
    (row,) = json.loads(preview({}, "--json").out)["rows"]
    assert (row["before"]["model"], row["after"]["model"]) == ("dear", "cheap")


def test_keys_that_were_revoked_are_left_out_and_that_is_said(preview: Preview, key_id: str, gateway: Stored) -> None:
    gateway.keys.revoke(key_id, actor="local:me")
    assert "3 calls of 1 keys that are not valid now" in preview({"exposure": "listed"}).out


def test_what_has_no_price_is_said(preview: Preview, gateway: Stored, key_id: str) -> None:
    SqlCatalogRepository(gateway.database).record([entry("cheap", CHEAP), {"id": "dear"}], NOW, [])
    assert "not known: no price" in preview({"models": {"cheap": {"upstream": "dear"}}}).out


def test_without_a_catalog_it_says_what_to_do(preview: Preview) -> None:
    ended = preview({})
    assert (ended.code, ended.out) == (1, "")
    assert "the gateway has not read the catalog yet" in ended.err
    assert "start it once" in ended.err


@pytest.mark.parametrize("proposed", ["{", '{"modles": {}}', '{"version": 2}'])
def test_a_file_that_is_no_configuration_is_refused(preview: Preview, key_id: str, proposed: str) -> None:
    ended = preview(proposed)
    assert (ended.code, ended.out) == (2, "")
    assert "proposed.json" in ended.err


def test_nothing_is_changed(preview: Preview, key_id: str, home: Path) -> None:
    use(home, {"models": {}})
    before = (home / "config.json").read_bytes()
    preview({"exposure": "listed"})
    assert (home / "config.json").read_bytes() == before
