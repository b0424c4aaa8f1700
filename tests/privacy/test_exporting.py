"""An archive has everything about its key, and nothing about anybody else."""

import csv
import io
import json
import os
import stat
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from copilot_api.errors import BadRequest, StorageUnavailable
from copilot_api.privacy.exporting import Exported, name_archive
from copilot_api.usage.journal import BEGIN, JournalWriter
from copilot_api.usage.models import UsageEvent
from tests.capture.kept import make_trace
from tests.privacy.site import ADMIN, LABEL, OTHER, Site


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.zip"


def export(site: Site, path: Path) -> Exported:
    return site.exporter.export(site.subjects.get(LABEL), path, actor=ADMIN)


def read(path: Path, name: str) -> list[Any]:
    with zipfile.ZipFile(path) as archive:
        return [json.loads(line) for line in archive.read(name).decode().splitlines()]


def read_json(path: Path, name: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(name))


def test_every_event_of_the_key_is_in_it_those_in_the_journal_too(site: Site, path: Path) -> None:
    waiting = [event for event in site.fill_journal(ended=2, begun=1) if event.key_id == site.key.id][:2]
    exported = export(site, path)
    found = read(path, "usage-events.jsonl")
    assert sorted(event["request_id"] for event in found) == sorted(
        event.request_id for event in [*site.own_events, *waiting]
    )
    assert {event["key_id"] for event in found} == {site.key.id}
    assert exported.notes[0] == "1 calls are under way, or broke off and are not counted yet"
    # What is read is left where it is.
    site.stored.usage.add_events(waiting)
    assert len(read_again(site, path)) == len(found)


def read_again(site: Site, path: Path) -> list[Any]:
    """The same once the journal is in the ledger: each event once, whichever place it is in."""
    again = path.with_name("again.zip")
    export(site, again)
    return read(again, "usage-events.jsonl")


def test_the_sums_are_those_of_the_events_by_day_and_model(site: Site, path: Path) -> None:
    export(site, path)
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("usage-summary.csv").decode(), newline="")))
    assert sum(int(row["requests"]) for row in rows) == len(site.own_events)
    assert sum(int(row["output_tokens"]) for row in rows) == sum(event.output_tokens for event in site.own_events)
    assert len({(row["day"], row["model"]) for row in rows}) == len(rows)


def test_the_key_is_in_it_without_the_hash_of_its_secret(site: Site, path: Path) -> None:
    site.write_config([LABEL])
    export(site, path)
    key = read_json(path, "key.json")
    assert (key["id"], key["label"], key["tier"]) == (site.key.id, LABEL, "client")
    assert key["policy"]["models"] == ["*"]
    assert [secret["prefix"] for secret in key["secrets"]] == [site.key.prefix]
    assert key["named_by_aliases"] == ["fast"]
    assert "digest" not in json.dumps(key)
    digest = sha256(site.secret.encode())
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert digest.hexdigest().encode() not in content
            assert site.secret.encode() not in content


def test_captures_are_in_it_from_files_and_from_memory_each_once(site: Site, path: Path) -> None:
    site.write_traces()
    site.gateways.running = 1
    site.gateways.traces = [make_trace(number, key_id=site.key.id) for number in (1, 7)]
    exported = export(site, path)
    traces = read(path, "traces.jsonl")
    assert [trace["request_id"] for trace in traces] == ["req_1", "req_3", "req_7"]
    # An administrator sent it again: what the holder wrote is in it, who that was is not.
    assert "key_x" not in json.dumps(traces)
    assert exported.notes == ()


def test_without_a_gateway_to_ask_it_says_so(site: Site, path: Path) -> None:
    assert any("no running gateway" in note for note in export(site, path).notes)
    assert any("no running gateway" in note for note in read_json(path, "manifest.json")["notes"])


def test_nobody_else_is_in_it(site: Site, path: Path) -> None:
    site.fill_journal()
    site.write_traces()
    export(site, path)
    with zipfile.ZipFile(path) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    for name in (site.other.id, site.other.prefix, OTHER, ADMIN):
        assert name not in everything
    assert {line["target"] for line in read(path, "audit.jsonl")} == {site.key.id}


def test_the_manifest_has_the_hash_and_the_count_of_every_file(site: Site, path: Path) -> None:
    exported = export(site, path)
    manifest = read_json(path, "manifest.json")
    assert manifest["about"] == site.key.id
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        for each in manifest["files"]:
            content = archive.read(each["name"])
            assert (sha256(content).hexdigest(), len(content)) == (each["sha256"], each["bytes"])
            if each["name"].endswith(".jsonl"):
                assert len(content.splitlines()) == each["records"]
    assert [each["name"] for each in manifest["files"]] == names[:-1]
    assert exported.sha256 == sha256(path.read_bytes()).hexdigest()


def test_it_is_private_and_never_written_over_anything(site: Site, path: Path) -> None:
    export(site, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(BadRequest, match="there is a file already"):
        export(site, path)
    link = path.with_name("link.zip")
    link.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(BadRequest, match="there is a file already"):
        export(site, link)
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["data", "link.zip", "out.zip"]


def test_it_is_on_record_with_the_hash_of_the_archive(site: Site, path: Path) -> None:
    exported = export(site, path)
    line = site.audit_lines()[-1]
    assert (line["actor"], line["action"], line["target"]) == (ADMIN, "privacy.exported", site.key.id)
    detail = line["detail"]
    assert isinstance(detail, dict)
    assert detail["sha256"] == exported.sha256
    assert detail["records"]["usage-events.jsonl"] == len(site.own_events)


def test_without_its_audit_line_there_is_no_archive(site: Site, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_event: object) -> None:
        raise StorageUnavailable("the audit log cannot be written")

    monkeypatch.setattr(site.stored.audit, "append", refuse)
    with pytest.raises(StorageUnavailable):
        export(site, path)
    assert os.listdir(path.parent) == ["data"]


def test_a_key_that_is_gone_leaves_an_archive_of_what_is_known_of_it(site: Site, path: Path) -> None:
    """Its row was deleted by hand, say; the ledger still has its id."""
    with site.stored.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM api_keys WHERE id = ?", (site.key.id,))
    site.exporter.export(site.subjects.get(site.key.id), path, actor=ADMIN)
    assert len(read(path, "usage-events.jsonl")) == len(site.own_events)


def test_a_call_that_is_being_written_while_it_is_read_is_in_it_or_not_and_nothing_breaks(
    site: Site, path: Path
) -> None:
    writer = JournalWriter(site.stored.directory.spool, name="living", segment_bytes=4096)
    writer.append(BEGIN, UsageEvent(request_id="req_zz", at=site.clock.now().isoformat(), key_id=site.key.id))
    export(site, path)
    for segment in writer.segments:
        segment.close()
    assert len(read(path, "usage-events.jsonl")) == len(site.own_events)


def test_it_is_called_by_the_key_and_the_time(site: Site) -> None:
    assert name_archive("key_a", site.clock.now()) == "privacy-key_a-20260701T120000Z.zip"
