import csv
import io
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from copilot_api.clock import SystemClock
from copilot_api.config.environment import environment
from copilot_api.usage.models import Cause, UsageEvent
from tests.cli.conftest import Cli
from tests.stored import Stored

NOW = SystemClock().now()


def store(gateway: Stored, hours_ago: list[float], **fields: object) -> list[UsageEvent]:
    events = [
        UsageEvent(
            request_id=f"req_{number}",
            at=(NOW - timedelta(hours=hours)).isoformat(),
            cause=Cause.OK,
            status=200,
            **fields,  # type: ignore[arg-type]
        )
        for number, hours in enumerate(hours_ago)
    ]
    gateway.usage.add_events(events)
    return events


def test_json_has_the_promised_shape_also_where_nothing_is(cli: Cli) -> None:
    report = json.loads(cli("usage", "--since", "24h", "--by", "model", "--json").out)
    assert report.keys() == {"since", "until", "rows", "total"}
    assert report["rows"] == []
    assert report["total"] == {
        "requests": 0,
        "errors": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "credits": 0,
        "premium_requests": 0,
        "would_limit": 0,
    }


def test_the_period_is_the_last_day_unless_told_otherwise(cli: Cli, gateway: Stored) -> None:
    store(gateway, [1, 23, 25, 49])
    assert json.loads(cli("usage", "--json").out)["total"]["requests"] == 2
    assert json.loads(cli("usage", "--since", "2d", "--json").out)["total"]["requests"] == 3
    assert json.loads(cli("usage", "--since", "2d", "--until", "24h", "--json").out)["total"]["requests"] == 1
    assert json.loads(cli("usage", "--since", "2020-01-01", "--json").out)["total"]["requests"] == 4


def test_a_key_is_shown_by_id_and_label(cli: Cli, gateway: Stored) -> None:
    key = gateway.keys.issue("ci", actor="local:me").key
    store(gateway, [1], key_id=key.id, input_tokens=1_000, nano_aiu=2_500_000_000)
    (row,) = json.loads(cli("usage", "--json").out)["rows"]
    assert (row["group"], row["label"], row["credits"]) == (key.id, "ci", 2.5)
    table = cli("usage").out.splitlines()
    assert table[1].split() == [key.id, "ci", "1", "0", "1,000", "0", "0", "0", "0", "2.50", "0.00"]
    assert table[-1].startswith("total")


def test_csv_has_the_names_of_the_contract(cli: Cli, gateway: Stored) -> None:
    store(gateway, [1], model="=cmd()")
    (row,) = csv.DictReader(io.StringIO(cli("usage", "--by", "model", "--csv").out))
    assert (row["group"], row["requests"]) == ("'=cmd()", "1")
    assert set(row) >= {"input_tokens", "credits", "premium_requests"}


def test_what_would_have_been_refused_is_a_column_where_anybody_observes(cli: Cli, gateway: Stored) -> None:
    store(gateway, [1], model="fast")
    assert "would limit" not in cli("usage", "--by", "model").out
    assert "would_limit" in cli("usage", "--by", "model", "--csv").out, "columns of a file do not come and go"
    gateway.usage.add_events(
        [UsageEvent(request_id="x", at=NOW.isoformat(), cause=Cause.OK, status=200, model="fast", would_limit="rpm")]
    )
    until = (NOW + timedelta(seconds=1)).isoformat()
    arguments = ("usage", "--by", "model", "--since", "2h", "--until", until)
    table = cli(*arguments).out.splitlines()
    assert table[0].endswith("would limit")
    assert table[1].split()[-1] == table[-1].split()[-1] == "1"
    (row,) = json.loads(cli(*arguments, "--json").out)["rows"]
    assert row["would_limit"] == 1


def test_events_are_one_object_a_line_with_every_field(cli: Cli, gateway: Stored) -> None:
    events = store(gateway, [3, 2, 1])
    for arguments in ((), ("--json",)):
        lines = cli("usage", "--events", *arguments).out.splitlines()
        assert [json.loads(line) for line in lines] == [msgspec.to_builtins(event) for event in events]
    assert tuple(json.loads(lines[0])) == UsageEvent.__struct_fields__


def test_events_as_csv(cli: Cli, gateway: Stored) -> None:
    store(gateway, [2, 1])
    rows = list(csv.DictReader(io.StringIO(cli("usage", "--events", "--csv").out)))
    assert [row["request_id"] for row in rows] == ["req_0", "req_1"]
    assert rows[0].keys() == set(UsageEvent.__struct_fields__)


@pytest.mark.parametrize(
    "arguments",
    [("--by", "colour"), ("--since", "soon"), ("--csv", "--json"), ("--since", "1h", "--until", "2h")],
)
def test_bad_usage_is_refused(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli("usage", *arguments)
    assert (ended.code, ended.out) == (2, "")


def test_a_reader_that_has_read_enough_ends_it_quietly(gateway: Stored, home: Path) -> None:
    store(gateway, [1 + number / 10_000 for number in range(3_000)])
    process = subprocess.Popen(
        [sys.executable, "-m", "copilot_api", "usage", "--events"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment(), "COPILOT_API_HOME": str(home)},
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
