"""`copilot-api traces redact`: what would be taken out is shown by rule, place and length, and never itself."""

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.conftest import Cli
from tests.redaction.corpus import SECRETS, Secret, encodings, survives

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"messages": [{"content": f"my token is {SECRET}\x1b[31m"}], "id": UUID}))
    return path


def test_hits_and_near_misses_are_shown_and_the_secret_is_not(cli: Cli, file: Path, home: Path) -> None:
    ended = cli("traces", "redact", str(file))
    assert ended.code == 0, ended.err
    for part in ("taken out:", "$.messages[0].content", "40", "[redacted:", "looks like a secret and stays:", "a UUID"):
        assert part in ended.out
    assert SECRET not in ended.out + ended.err
    assert "\x1b" not in ended.out
    assert not home.exists()


def test_json_has_the_text_too(cli: Cli, file: Path) -> None:
    ended = cli("traces", "redact", str(file), "--json")
    document = json.loads(ended.out)
    assert ended.out.isascii()
    assert SECRET not in ended.out
    assert document["hits"][0]["length"] == len(SECRET)
    assert document["hits"][0]["placeholder"] in document["text"]


def test_the_redacted_text_goes_where_it_is_told_to(cli: Cli, file: Path, tmp_path: Path) -> None:
    output = tmp_path / "clean.json"
    ended = cli("traces", "redact", str(file), "--output", str(output))
    assert (ended.code, f"the redacted text is in {output}" in ended.err) == (0, True)
    assert json.loads(output.read_text())["messages"][0]["content"].startswith("my token is [redacted:")
    assert output.stat().st_mode & 0o777 == 0o600
    output.unlink()
    output.symlink_to(file)
    assert cli("traces", "redact", str(file), "--output", str(output)).code == 2
    assert SECRET in file.read_text()
    assert cli("traces", "redact", str(file), "--output", os.devnull).code == 2


def test_standard_input_is_read(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(f"token {SECRET}".encode())))
    ended = cli("traces", "redact", "-")
    assert (ended.code, "taken out:" in ended.out) == (0, True)


def test_nothing_to_take_out_is_said(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("all is well")
    assert cli("traces", "redact", str(tmp_path / "x")).out == "nothing would be taken out\n"


def test_what_is_no_text_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x00\x01")
    ended = cli("traces", "redact", str(tmp_path / "x"))
    assert (ended.code, "no text" in ended.err) == (2, True)
    assert cli("traces", "redact", str(tmp_path / "none")).code == 2
    assert cli("traces", "redact", str(tmp_path)).code == 2


@pytest.mark.parametrize("secret", SECRETS[::11], ids=lambda secret: secret.family)
def test_no_secret_is_printed_in_any_form(cli: Cli, tmp_path: Path, secret: Secret) -> None:
    path = tmp_path / "x"
    for encoded in list(encodings(secret))[::3]:
        path.write_text(encoded.text)
        for flags in ((), ("--json",)):
            ended = cli("traces", "redact", str(path), "--media-type", encoded.media_type, *flags)
            assert ended.code == 0, ended.err
            assert survives(secret, ended.out + ended.err) is None, encoded.name
