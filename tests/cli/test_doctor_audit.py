"""The quick look that `doctor` takes at the audit log."""

from pathlib import Path

from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.cli.doctor_audit import check_audit
from copilot_api.cli.doctor_ledger import State
from copilot_api.config.paths import DataDirectory
from tests.fakes import FakeClock


def make_log(path: Path, count: int = 3) -> DataDirectory:
    directory = DataDirectory(path)
    log = AuditLog(directory.audit, FakeClock())
    for number in range(count):
        log.append(AuditEvent("local:me", Action.KEY_ISSUED, f"key_{number}"))
    return directory


def test_a_log_that_is_well_is_told_by_its_head(tmp_path: Path) -> None:
    finding = check_audit(make_log(tmp_path))
    assert finding.state is State.OK
    assert finding.detail.startswith("newest lines whole, head 3:")
    assert finding.detail.endswith("2026-07-01T12:00:00+00:00")


def test_an_edit_and_a_cut_are_failures_with_the_way_on(tmp_path: Path) -> None:
    directory = make_log(tmp_path)
    content = directory.audit.read_bytes()
    for changed in (content.replace(b"key_1", b"key_9"), content.splitlines(keepends=True)[0]):
        directory.audit.write_bytes(changed)
        finding = check_audit(directory)
        assert finding.state is State.FAILED
        assert finding.cure is not None
        assert "audit verify" in finding.cure
    directory.audit.unlink()
    assert check_audit(directory).state is State.FAILED


def test_many_problems_are_told_by_the_first_and_their_number(tmp_path: Path) -> None:
    directory = make_log(tmp_path)
    directory.audit.write_bytes(b"scribbled\n" * 5)
    assert check_audit(directory).detail.endswith(" and 5 more")


def test_a_log_that_is_not_there_yet_is_a_warning(tmp_path: Path) -> None:
    finding = check_audit(DataDirectory(tmp_path))
    assert (finding.state, finding.cure) == (State.WARNING, "the first start makes it")


def test_one_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.audit.mkdir()
    assert check_audit(directory).state is State.FAILED
