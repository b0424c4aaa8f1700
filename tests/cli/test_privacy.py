"""`copilot-api privacy` hands over and erases, asks before it does, and ends as scripts expect."""

import json
import os
import stat
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from copilot_api.privacy.receipts import Receipt, hash_of
from tests.cli.conftest import Cli
from tests.privacy.site import ADMIN, LABEL, Site, open_site


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    with open_site(home, events=30) as site:
        yield site


# Export -------------------------------------------------------------------------------------------------------------


def test_an_archive_is_written_and_its_parts_are_listed(cli: Cli, site: Site, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    ended = cli("privacy", "export", LABEL, "--output", str(path))
    assert ended.code == 0
    assert "usage-events.jsonl" in ended.out
    assert "note: no running gateway could be asked" in ended.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = cli("privacy", "export", site.key.id, "--output", str(path))
    assert (again.code, again.err.splitlines()[0]) == (2, f"error: there is a file already: {path}")


def test_scripts_get_the_hashes(cli: Cli, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document = json.loads(cli("privacy", "export", LABEL, "--json").out)
    assert document["path"].startswith(f"privacy-{site.key.id}-")
    names = [each["name"] for each in document["files"]]
    with zipfile.ZipFile(tmp_path / document["path"]) as archive:
        assert archive.namelist() == names


def test_a_key_that_is_not_there_is_refused(cli: Cli, site: Site) -> None:
    for command in (("export", "nobody"), ("erase", "nobody", "--events", "delete", "--yes")):
        ended = cli("privacy", *command)
        assert (ended.code, ended.err.splitlines()[0]) == (2, "error: no such key: 'nobody'")


# Erase --------------------------------------------------------------------------------------------------------------


def test_it_says_what_will_happen_and_prints_a_receipt(cli: Cli, site: Site) -> None:
    ended = cli("privacy", "erase", LABEL, "--events", "delete", "--yes")
    assert ended.code == 0
    assert f"{len(site.own_events)} usage events are deleted, and taken out of every sum" in ended.err
    assert ended.out.startswith("receipt")
    assert "complete" in ended.out.splitlines()[0]
    assert len(site.stored_events()) == len(site.others_events)
    site.check_sums()


def test_what_becomes_of_the_events_has_to_be_said(cli: Cli, site: Site) -> None:
    assert cli("privacy", "erase", LABEL, "--yes").code == 2
    assert site.stored.keys.get(LABEL).revoked_at is None


def test_without_a_terminal_and_without_yes_nothing_is_done(cli: Cli, site: Site) -> None:
    ended = cli("privacy", "erase", LABEL, "--events", "delete")
    assert ended.code == 2
    assert "--yes says that it is meant" in ended.err
    assert site.stored.keys.get(LABEL).revoked_at is None


@pytest.mark.parametrize("answer", ["", "y", LABEL, "key_other"])
def test_in_a_terminal_the_id_has_to_be_typed(
    cli: Cli, site: Site, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: answer)
    ended = cli("privacy", "erase", LABEL, "--events", "delete")
    assert (ended.code, "nothing was changed" in ended.err) == (2, True)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: f" {site.key.id} ")
    assert cli("privacy", "erase", LABEL, "--events", "delete").code == 0


def test_scripts_get_the_receipt_and_can_check_its_hash(cli: Cli, site: Site, tmp_path: Path) -> None:
    import msgspec

    path = tmp_path / "receipt.json"
    ended = cli("privacy", "erase", LABEL, "--events", "pseudonymise", "--yes", "--json", "--receipt", str(path))
    document = json.loads(ended.out)
    assert document == json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    receipt = msgspec.convert(document, Receipt)
    assert hash_of(receipt) == receipt.hash
    assert site.audit_lines()[-1]["detail"]["receipt"] == receipt.hash  # type: ignore[index]
    assert LABEL not in ended.out
    refused = cli("privacy", "erase", site.key.id, "--events", "delete", "--yes", "--receipt", str(path))
    assert refused.code == 2


def test_what_is_left_ends_it_with_1(cli: Cli, site: Site) -> None:
    site.write_config(["*"])
    config = site.stored.directory.config
    config.write_text(config.read_text().replace('"upstream"', f'"note": "{site.key.id}", "upstream"'))
    ended = cli("privacy", "erase", LABEL, "--events", "delete", "--yes")
    assert ended.code == 1
    assert "INCOMPLETE" in ended.out
    assert "configuration: config.json (1)" in ended.out
    config.unlink()
    assert cli("privacy", "erase", site.key.id, "--events", "delete", "--yes").code == 0


def test_the_last_admin_is_told_the_way_back(cli: Cli, site: Site) -> None:
    from copilot_api.keys.models import Tier

    site.stored.keys.issue("boss", tier=Tier.ADMIN, actor=ADMIN)
    ended = cli("privacy", "erase", "boss", "--events", "delete", "--yes")
    assert ended.code == 0
    assert "that was the last admin key" in ended.err


def test_a_flag_may_come_from_the_environment(cli: Cli, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_API_EVENTS", "delete")
    assert cli("privacy", "erase", LABEL, "--yes").code == 0
    assert os.listdir(site.stored.directory.path)
