"""`copilot-api audit`: what is on record, and proof that it is what it was."""

import json
from pathlib import Path

import pytest

from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.audit.verify import verify
from tests.cli.conftest import Cli
from tests.stored import Stored


@pytest.fixture
def filled(gateway: Stored) -> Stored:
    """Five actions on record."""
    gateway.keys.issue("ci", actor="local:me")
    origin = Origin("192.0.2.1", "ci/1.0", "req_1")
    gateway.audit.append(AuditEvent("key_a", Action.CONFIG_CHANGED, "config.json", {"changed": ["exposure"]}, origin))
    for number in range(3):
        gateway.audit.append(AuditEvent("unknown", Action.KEY_REFUSED, f"sha256:0000000{number}", {"count": number}))
    return gateway


def edit(home: Path, old: bytes, new: bytes) -> None:
    path = home / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(old, new))


# list -----------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("filled")
def test_what_is_on_record_is_listed_newest_first(cli: Cli) -> None:
    ended = cli("audit", "list")
    heading, *rows = ended.out.splitlines()
    assert heading.split() == ["seq", "at", "actor", "action", "target", "from", "detail"]
    assert [row.split()[0] for row in rows] == ["5", "4", "3", "2", "1"]
    assert "config.changed" in rows[3]
    assert "192.0.2.1" in rows[3]
    assert '{"changed":["exposure"]}' in rows[3]


@pytest.mark.usefixtures("filled")
def test_scripts_get_every_field(cli: Cli) -> None:
    records = json.loads(cli("audit", "list", "--json").out)
    assert [record["seq"] for record in records] == [5, 4, 3, 2, 1]
    changed = records[3]
    assert (changed["address"], changed["user_agent"], changed["request_id"]) == ("192.0.2.1", "ci/1.0", "req_1")
    assert len(changed["hash"]) == 64
    assert "address" not in records[0]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "seqs"),
    [
        (["--actor", "unknown"], [5, 4, 3]),
        (["--action", "config.changed"], [2]),
        (["--target", "sha256:00000001"], [4]),
        (["--limit", "2"], [5, 4]),
        (["--since", "1h"], [5, 4, 3, 2, 1]),
        (["--since", "2100-01-01"], []),
        (["--actor", "unknown", "--limit", "1"], [5]),
    ],
)
def test_it_can_be_asked_for_some_of_it(cli: Cli, arguments: list[str], seqs: list[int]) -> None:
    assert [record["seq"] for record in json.loads(cli("audit", "list", "--json", *arguments).out)] == seqs


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("arguments", [["--action", "key.stolen"], ["--limit", "0"], ["--since", "soon"]])
def test_what_cannot_be_asked_is_refused(cli: Cli, arguments: list[str]) -> None:
    ended = cli("audit", "list", *arguments)
    assert (ended.code, ended.out) == (2, "")


@pytest.mark.parametrize("text", ["\x1b[2J\x1b]0;x\x07", "\u202egpj.exe", "a\nb\rc", "\x9b31m", "\u2028", "\x00"])
def test_nothing_in_it_reaches_the_terminal_as_it_is(cli: Cli, gateway: Stored, text: str) -> None:
    gateway.audit.append(AuditEvent(text, Action.KEY_REFUSED, text, {text: [text]}, Origin(text, text, text)))
    for arguments in (["list"], ["list", "--json"], ["verify"], ["verify", "--json"]):
        ended = cli("audit", *arguments)
        assert ended.code == 0
        assert all(line.isprintable() for line in ended.out.split("\n"))
    assert len(cli("audit", "list").out.splitlines()) == 2


@pytest.mark.usefixtures("home")
def test_before_the_first_start_there_is_nothing(cli: Cli, home: Path) -> None:
    assert json.loads(cli("audit", "list", "--json").out) == []
    assert not home.exists(), "looking makes nothing"


# verify ---------------------------------------------------------------------------------------------------------------


def test_a_whole_log_is_said_to_be_with_the_head_to_keep_elsewhere(cli: Cli, filled: Stored) -> None:
    head = verify(filled.directory.audit).head
    assert head is not None
    ended = cli("audit", "verify")
    assert ended.code == 0
    whole, told = ended.out.splitlines()
    assert whole == "whole   5 lines in 1 file"
    assert told.split()[:2] == ["head", head.text]
    document = json.loads(cli("audit", "verify", "--json").out)
    assert (document["ok"], document["problems"], document["lines"], document["files"]) == (True, [], 5, 1)
    assert (document["head"]["seq"], document["head"]["hash"]) == head


@pytest.mark.usefixtures("filled")
def test_an_edit_is_found(cli: Cli, home: Path) -> None:
    edit(home, b"192.0.2.1", b"192.0.2.9")
    ended = cli("audit", "verify")
    assert (ended.code, ended.out.splitlines()[0]) == (
        1, "broken  audit.jsonl, line 2: its hash does not match: it was edited",
    )  # fmt: skip
    document = json.loads(cli("audit", "verify", "--json").out)
    assert (document["ok"], len(document["problems"]) > 0) == (False, True)


@pytest.mark.usefixtures("filled")
def test_a_head_kept_elsewhere_must_still_be_in_the_chain(cli: Cli, filled: Stored, home: Path) -> None:
    kept = cli("audit", "verify").out.split()[-2]
    filled.keys.issue("another", actor="local:me")
    assert cli("audit", "verify", "--expect", kept).code == 0
    for name in ("audit.jsonl", "audit.head"):
        (home / name).unlink()
    for number in range(6):
        filled.keys.issue(f"forged {number}", actor="local:me")
    assert cli("audit", "verify").code == 0
    ended = cli("audit", "verify", "--expect", kept)
    assert ended.code == 1
    assert "is not the expected one" in ended.out


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("head", ["", "5", "5:abc", "x:" + "0" * 64, "5:" + "0" * 63 + "G"])
def test_what_is_no_head_is_refused(cli: Cli, head: str) -> None:
    ended = cli("audit", "verify", "--expect", head)
    assert (ended.code, "is no head" in ended.err) == (2, True)


@pytest.mark.usefixtures("home")
def test_where_nothing_is_on_record_that_is_a_failure(cli: Cli) -> None:
    ended = cli("audit", "verify")
    assert (ended.code, ended.out.startswith("broken  there is no line")) == (1, True)
    assert json.loads(cli("audit", "verify", "--json").out)["head"] is None


def test_a_log_that_cannot_be_read_is_said_to_be(cli: Cli, home: Path) -> None:
    (home / "audit.jsonl").mkdir(parents=True)
    ended = cli("audit", "verify")
    assert (ended.code, "audit.jsonl" in ended.err) == (1, True)
