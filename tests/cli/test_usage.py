"""`copilot-api usage`: sums, events and waste, as tables, JSON, CSV and Parquet."""

import csv
import io
import json
import subprocess
import sys
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from copilot_api.clock import SystemClock
from copilot_api.config.environment import environment
from copilot_api.usage.filters import FIELDS
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.totals import Group
from tests.cli.conftest import Cli
from tests.stored import Stored

NOW = SystemClock().now()
parquet: Any = import_module("pyarrow.parquet")  # without types


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
    [
        ("--by", "colour"), ("--since", "soon"), ("--csv", "--json"), ("--since", "1h", "--until", "2h"), ("--events", "--waste"),
        ("--parquet", "x"), ("--parquet", "x", "--waste"), ("--parquet", "x", "--events", "--csv"), ("--parquet", "/", "--events"),
        ("--events", "--json", "--parquet", "x"), ("--where", "until:0001-01-01"),
    ],
)  # fmt: skip
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


# Of some calls only ------------------------------------------------------------------------------------------------


def test_groups_are_whatever_sums_are_kept_by(cli: Cli, gateway: Stored) -> None:
    store(
        gateway, [2, 1], model="fast", upstream_model="gpt-4.1", client="codex", kind="title", endpoint="/v1/messages"
    )
    expected = {Group.MODEL: "fast", Group.UPSTREAM_MODEL: "gpt-4.1", Group.CLIENT: "codex", Group.KIND: "title", Group.CAUSE: "ok", Group.STATUS: "200"}  # fmt: skip
    for group in Group:
        report = json.loads(cli("usage", "--by", group.value, "--json").out)
        assert sum(row["requests"] for row in report["rows"]) == report["total"]["requests"] == 2
        assert group not in expected or report["rows"][0]["group"] == expected[group]
        assert cli("usage", "--by", group.value).out.startswith(group.value)


def test_where_leaves_out_the_others(cli: Cli, gateway: Stored) -> None:
    key = gateway.keys.issue("ci", actor="local:me").key
    store(gateway, [3, 2, 1], model="fast", duration=1.0)
    late = UsageEvent(request_id="x", at=(NOW - timedelta(hours=4)).isoformat(), key_id=key.id, cause=Cause.INTERNAL, status=500, duration=9.0)  # fmt: skip
    gateway.usage.add_events([late])
    for name in (key.id, "ci", key.prefix):
        report = json.loads(cli("usage", "--where", f"key:{name} status:5xx", "--json").out)
        assert [(row["group"], row["requests"]) for row in report["rows"]] == [(key.id, 1)]
    assert json.loads(cli("usage", "--where", "-key:ci", "--json").out)["total"]["requests"] == 3
    lines = cli("usage", "--events", "--where", "duration:>5s").out.splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == ["x"]
    assert cli("usage", "--events", "--where", "key:nobody").out == ""
    assert len(cli("usage", "--events", "--csv", "--where", "model:fast").out.splitlines()) == 4


def test_a_period_in_the_query_takes_the_place_of_the_usual_one_and_narrows_one_that_is_given(
    cli: Cli, gateway: Stored
) -> None:
    store(gateway, [1, 23, 25, 49])

    def count(*arguments: str) -> int:
        return int(json.loads(cli("usage", "--json", *arguments).out)["total"]["requests"])

    assert count("--where", "since:30h") == 3
    assert count("--where", "since:3d until:24h") == 2
    assert count("--where", "since:2h") == 1
    assert count("--where", "since:3d", "--since", "30h") == 3
    assert count("--where", "since:30h", "--since", "3d") == 3
    assert count("--where", "until:2h") == 1


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("colour:red", "the query has no field for 'colour:red' (write FIELD:VALUE with one of key, model, "),
        ("status:many", "status: 'many' is no number (for example status:>=400"),
        ("cause:bad", "cause: there is no 'bad' (one of ok, "),
        ('model:"a', "the query has a quotation mark without its pair"),
        ("since:soon", "'soon' is no time (how long ago, such as 30m"),
        ("key:", "key: what is it to be? (for example key:ci)"),
        ("ttft:>5s", "sums cannot be told apart by ttft; with --events they can"),
        ("limit:rpm", "sums cannot be told apart by limit; with --events they can"),
        ("x" * 3_000, "the query is longer than "),
    ],
)
def test_a_mistake_in_the_query_is_told_with_what_would_be_right(cli: Cli, query: str, says: str) -> None:
    ended = cli("usage", "--where", query)
    assert (ended.code, ended.out) == (2, "")
    assert f"Error: --where: {says}" in ended.err


def test_the_help_names_every_field_of_the_query(cli: Cli) -> None:
    text = " ".join(cli("usage", "--help").out.split())
    assert f"Fields: {', '.join(FIELDS)}." in text


# Waste -------------------------------------------------------------------------------------------------------------


def store_waste(gateway: Stored, nano_aiu: int | None) -> None:
    kinds = ["turn", "warm_up", "title", "probe", "compaction", "subagent", "background", "count_tokens", "embeddings"]
    events = [
        UsageEvent(
            request_id=f"w{number}",
            at=(NOW - timedelta(hours=1)).isoformat(),
            cause=Cause.OK,
            status=200,
            kind=kind,
            client="openai-python",
            input_tokens=11_000_000,
            output_tokens=1_100_000,
            nano_aiu=nano_aiu,
        )
        for number, kind in enumerate(kinds * 2)
    ]
    gateway.usage.add_events(events)


@pytest.mark.parametrize("nano_aiu", [None, 50_000_000_000])
def test_the_waste_table_has_room_in_80_columns_and_says_what_share_is_overhead(
    cli: Cli, gateway: Stored, nano_aiu: int | None
) -> None:
    store_waste(gateway, nano_aiu)
    heading, *lines = cli("usage", "--waste").out.splitlines()
    assert max(map(len, [heading, *lines])) <= 80
    columns = ["kind", "client", "requests", "input", "output", "credits", "share"]
    if nano_aiu is None:  # what nobody is charged for has no share of the charge
        columns = ["kind", "client", "requests", "share", "input", "output", "credits"]
    assert heading.split() == columns
    assert len(lines) == 9 + 2
    shares = {line.split()[0]: line.split()[columns.index("share")] for line in lines}
    assert (shares["title"], shares["overhead"], shares["total"]) == ("11.1%", "77.8%", "100.0%")
    assert {line.index("%") for line in lines} == {heading.index("share") + len("share") - 1}


def test_waste_as_json_and_csv(cli: Cli, gateway: Stored) -> None:
    store_waste(gateway, 1_000_000_000)
    report = json.loads(cli("usage", "--waste", "--json").out)
    assert report.keys() == {"since", "until", "rows", "overhead", "total"}
    assert report["overhead"]["requests"] == 14
    rows = list(csv.DictReader(io.StringIO(cli("usage", "--waste", "--csv", "--where", "kind:title").out)))
    assert [(row["kind"], row["requests"], row["share_of_credits"]) for row in rows] == [("title", "2", "1.0")]
    assert "ttft" in cli("usage", "--waste", "--where", "ttft:>1s").err


def test_without_calls_there_is_a_table_all_the_same(cli: Cli) -> None:
    assert [line.split()[0] for line in cli("usage", "--waste").out.splitlines()] == ["kind", "overhead", "total"]


# Parquet -----------------------------------------------------------------------------------------------------------


def test_parquet_holds_every_field_of_every_event(cli: Cli, gateway: Stored, tmp_path: Path) -> None:
    events = store(gateway, [3, 2, 1], model="fast", nano_aiu=5, stream=True)
    path = tmp_path / "events.parquet"
    ended = cli("usage", "--events", "--parquet", str(path))
    assert (ended.code, ended.out, ended.err) == (0, "", f"3 events in {path}\n")
    table = parquet.read_table(path)
    assert tuple(table.column_names) == UsageEvent.__struct_fields__
    read = table.to_pylist()
    for row, event in zip(read, events, strict=True):
        assert row.pop("at").isoformat() == event.at
        assert row == {name: value for name, value in msgspec.to_builtins(event).items() if name != "at"}
    assert cli("usage", "--events", "--where", "model:nothing", "--parquet", str(path)).code == 0
    assert parquet.read_table(path).num_rows == 0
    assert sorted(tmp_path.iterdir()) == [gateway.directory.path, path]


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere/x.parquet", "No such file or directory"), ("file/x.parquet", "Not a directory"), ("x" * 300, "File name too long")],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_told_without_a_traceback(
    cli: Cli, gateway: Stored, tmp_path: Path, name: str, says: str
) -> None:
    store(gateway, [1])
    (tmp_path / "file").touch()
    ended = cli("usage", "--events", "--parquet", str(tmp_path / name))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"Error: --parquet: {says}: {tmp_path / name}\n"


def test_what_is_no_file_is_not_replaced_by_one(cli: Cli, gateway: Stored) -> None:
    ended = cli("usage", "--events", "--parquet", "/dev/null")
    assert (ended.code, ended.err) == (1, "Error: --parquet: not a regular file: /dev/null\n")
    assert not Path("/dev/null").is_file()


def test_a_file_that_is_there_stays_until_the_new_one_is_whole(cli: Cli, gateway: Stored, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_text("the old one")
    path.chmod(0o600)
    store(gateway, [1])
    with gateway.database.begin() as connection:
        connection.exec_driver_sql("UPDATE usage_events SET cause = 'no such cause'")
    with pytest.raises(ValueError, match="no such cause"):
        cli("usage", "--events", "--parquet", str(path))
    assert path.read_text() == "the old one"
    with gateway.database.begin() as connection:
        connection.exec_driver_sql("UPDATE usage_events SET cause = 'ok'")
    assert cli("usage", "--events", "--parquet", str(path)).code == 0
    assert (parquet.read_table(path).num_rows, path.stat().st_mode & 0o777) == (1, 0o600)
    assert sorted(tmp_path.iterdir()) == [gateway.directory.path, path]
