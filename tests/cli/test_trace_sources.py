"""Where captures are looked for: in every gateway, each once; in files where there is none, and on record."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from copilot_api.audit.models import Action
from copilot_api.capture.files import TraceFiles
from copilot_api.capture.lines import encode_trace
from copilot_api.capture.models import Leg, Trace
from copilot_api.capture.queries import TraceNotFound
from copilot_api.cli.trace_sources import TraceFilter, open_sources
from copilot_api.errors import StorageUnavailable
from tests.cli.conftest import Cli
from tests.cli.trace_gateway import serving
from tests.stored import Stored

ALL = TraceFilter()


def trace(number: int, **more: Any) -> dict[str, Any]:
    """A trace as a list has it."""
    fields = {"number": number, "request_id": f"req_{number}", "at": f"2026-07-01T12:00:{number:02}+00:00", "key_id": None, "reason": "key",
              "client": "", "endpoint": "", "model": "", "stream": False, "status": 200, "cause": "", "duration_ms": 0.0, "bytes": 0,
              "redactions": 0, "withheld": 0}  # fmt: skip
    return {**fields, **more}


def write(home: Path, number: int, **more: Any) -> None:
    """A trace in a file."""
    leg = Leg(method="POST", target="/")
    found = Trace(
        number=number, request_id=f"req_{number}", at=f"2026-07-01T12:00:{number:02}+00:00", client_request=leg, **more
    )
    TraceFiles(home / "traces").append(encode_trace(found), date(2026, 7, 1), 1 << 20, is_wanted=lambda: True)


def audited(home: Path) -> list[tuple[str, str]]:
    return [
        (line["action"], line["target"]) for line in map(json.loads, (home / "audit.jsonl").read_text().splitlines())
    ]


def test_every_gateway_is_asked_and_each_trace_comes_once(gateway: Stored, home: Path) -> None:
    pages = [{"traces": [trace(5), trace(3)], "next": None}, {"traces": [trace(4), trace(3)], "next": None}]
    with serving(home, lambda *_: pages[0]), serving(home, lambda *_: pages[1]):
        sources = open_sources(None)
        assert [found.number for found in sources.list_summaries(ALL, 10)] == [5, 4, 3]
        assert [found.number for found in sources.list_summaries(ALL, 2)] == [5, 4]


def test_pages_are_turned_until_there_are_enough(gateway: Stored, home: Path) -> None:
    asked: list[str] = []

    def answer(_method: str, target: str, *_: object) -> Any:
        asked.append(target)
        return {"traces": [trace(9 - len(asked))], "next": 9 - len(asked)}

    with serving(home, answer):
        assert len(open_sources(None).list_summaries(ALL, 3)) == 3
    assert asked == [
        f"/admin/api/traces?limit={left}{place}" for left, place in ((3, ""), (2, "&before=8"), (1, "&before=7"))
    ]


def test_a_trace_is_looked_for_in_one_gateway_after_the_other(gateway: Stored, home: Path) -> None:
    def missing(*_: object) -> Any:
        raise TraceNotFound("not here")

    def broken(*_: object) -> Any:
        raise StorageUnavailable("the disk is full")

    with serving(home, missing), serving(home, lambda *_: {"request_id": "req_1"}):
        assert open_sources(None).get("req_1") == {"request_id": "req_1"}
    with serving(home, missing), serving(home, missing), pytest.raises(click.ClickException, match="not here"):
        open_sources(None).get("req_1")
    with serving(home, broken), serving(home, lambda *_: {}), pytest.raises(click.ClickException, match="disk is full"):
        open_sources(None).get("req_1")


def test_files_are_what_there_is_without_a_gateway(
    gateway: Stored, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = gateway.keys.issue("ci", actor="test").key
    write(home, 1, key_id=key.id, status=200, model="a")
    write(home, 2, status=429, model="b")
    sources = open_sources(None)
    wanted = {
        (2, 1): ALL, (1,): TraceFilter(key="ci"), (2,): TraceFilter(status="4xx"), (): TraceFilter(text="req_3"),
    }  # fmt: skip
    for numbers, each in wanted.items():
        assert tuple(found.number for found in sources.list_summaries(each, 10)) == numbers
    since = TraceFilter(since=datetime(2026, 7, 1, 12, 0, 2, tzinfo=UTC), model="b")
    assert [found.number for found in sources.list_summaries(since, 10)] == [2]
    assert [found.number for found in sources.list_summaries(ALL, 1)] == [2]
    assert "no gateway runs on this data directory: this is what lies in files" in capsys.readouterr().err
    assert sources.get("req_1")["model"] == "a"
    assert audited(home)[-1] == (Action.TRACE_READ, "req_1")
    assert (Action.TRACES_LISTED, "traces") in audited(home)
    with pytest.raises(click.ClickException, match="no such capture in files"):
        sources.get("req_9")


def test_files_are_not_shown_without_a_line_in_the_log(cli: Cli, gateway: Stored, home: Path) -> None:
    write(home, 1, model="a-model")
    (home / "audit.jsonl").unlink(missing_ok=True)
    (home / "audit.jsonl").mkdir()
    for arguments in (("list",), ("show", "req_1")):
        ended = cli("traces", *arguments)
        assert ended.code != 0
        assert "a-model" not in ended.out


def test_a_url_is_all_there_is_to_it(home: Path) -> None:
    with pytest.raises(click.UsageError, match="COPILOT_API_KEY"):
        open_sources("https://copilot.example")
    assert not home.exists()
