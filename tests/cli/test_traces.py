"""`copilot-api traces`, beside a gateway and without one; with a real one in tests/journeys."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from copilot_api.capture.lines import encode_trace, summarise
from copilot_api.capture.models import Leg, Trace
from copilot_api.capture.queries import TraceNotFound
from copilot_api.errors import BadRequest, Unauthorized
from copilot_api.keys.captures import CaptureForbidden
from tests.cli.conftest import Cli
from tests.cli.trace_gateway import serving
from tests.stored import Stored

TRACE = Trace(
    number=7, request_id="req_1", at="2026-07-01T12:00:00+00:00", key_id="key_a", endpoint="/v1/embeddings", model="m\x1b[31m", status=200,
    client_request=Leg(method="POST", target="/v1/embeddings", body='{"input": "\\u001b[31mhi"}'),
)  # fmt: skip
SUMMARY = msgspec.to_builtins(summarise(encode_trace(TRACE)))
REPLAYED = {
    "request_id": "req_2", "replay_of": "req_1", "status": 200, "notes": ["the model is \x1bb instead of a"],
    "diff": {"is_same": False, "changes": {"finish": ["end", "length"]}, "text": "--- before\n-\x1b[2Jone\n+two", "is_cut": True},
}  # fmt: skip


class Gateway:
    """Answers commands, and keeps what they asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[str, Any] = {"/admin/api/traces": {"traces": [SUMMARY], "next": None}}

    def __call__(self, method: str, target: str, body: bytes, _headers: object) -> Any:
        path = urlsplit(target).path
        self.asked.append((method, target, json.loads(body) if body else None))
        found = self.answers[path]
        if isinstance(found, Exception):
            raise found
        return found

    @property
    def query(self) -> dict[str, str]:
        """What the last list was asked for."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.asked[-1][1]).query).items()}


@pytest.fixture
def gateway_socket(gateway: Stored, home: Path) -> Any:
    answering = Gateway()
    with serving(home, answering):
        yield answering


def test_a_list_asks_for_what_is_typed(cli: Cli, gateway_socket: Gateway) -> None:
    flags = ["--key-id", "ci", "--model", "m", "--status", "4xx", "--since", "2026-07-01", "--id", "req", "-n", "7"]
    ended = cli("traces", "list", *flags)
    assert ended.code == 0, ended.err
    assert gateway_socket.query == {"key": "ci", "model": "m", "status": "4xx", "since": "2026-07-01T00:00:00+00:00", "q": "req", "limit": "7"}  # fmt: skip
    assert "req_1" in ended.out
    assert "\x1b" not in ended.out
    assert json.loads(cli("traces", "list", "--json").out) == [SUMMARY]
    gateway_socket.answers["/admin/api/traces"] = {"traces": [], "next": None}
    assert "no captures" in cli("traces", "list").err
    assert json.loads(cli("traces", "list", "--json").out) == []


def test_a_trace_is_shown_and_printed(cli: Cli, gateway_socket: Gateway) -> None:
    gateway_socket.answers["/admin/api/traces/req_1"] = msgspec.to_builtins(TRACE)
    shown = cli("traces", "show", "req_1")
    assert shown.code == 0, shown.err
    assert "── conversation" in shown.out
    assert "\x1b" not in shown.out
    printed = cli("traces", "show", "req_1", "--json").out
    assert printed.isascii()
    assert json.loads(printed)["request_id"] == "req_1"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TraceNotFound("there is no trace"), 2),
        (BadRequest("no"), 2),
        (Unauthorized("no"), 2),
        (CaptureForbidden("no"), 2),
    ],
)
def test_what_the_gateway_refuses_is_told(cli: Cli, gateway_socket: Gateway, error: Exception, code: int) -> None:
    gateway_socket.answers["/admin/api/traces/req_1"] = error
    ended = cli("traces", "show", "req_1")
    assert (ended.code, ended.out) == (code, "")
    assert str(error) in ended.err


def test_a_replay_shows_how_the_answers_differ(cli: Cli, gateway_socket: Gateway) -> None:
    gateway_socket.answers["/admin/api/traces/req_1/replay"] = REPLAYED
    ended = cli("traces", "replay", "req_1", "--model", "b", "--key-id", "first admin")
    assert ended.code == 0, ended.err
    assert gateway_socket.asked == [("POST", "/admin/api/traces/req_1/replay", {"model": "b", "key": "first admin"})]
    for part in (
        "replayed req_1 as req_2: status 200",
        "note: the model",
        'finish: "end" → "length"',
        "+two",
        "(there is more than is shown)",
    ):
        assert part in ended.out
    assert "\x1b" not in ended.out
    assert json.loads(cli("traces", "replay", "req_1", "--json").out) == REPLAYED
    same = {**REPLAYED, "notes": [], "diff": {"is_same": True, "changes": {}, "text": "", "is_cut": False}}
    gateway_socket.answers["/admin/api/traces/req_1/replay"] = same
    assert "the answers are the same" in cli("traces", "replay", "req_1").out
    gateway_socket.answers["/admin/api/traces/req_1/replay"] = {**REPLAYED, "diff": None}
    assert cli("traces", "replay", "req_1").code == 0


def test_the_tail_prints_lines_or_objects_until_it_ends(cli: Cli, gateway_socket: Gateway) -> None:
    events = f'event: trace\ndata: {json.dumps(SUMMARY)}\n\nevent: gap\ndata: {{"missed": 3}}\n\nevent: end\ndata: {{"reason": "over"}}\n\n'
    gateway_socket.answers["/admin/api/traces/tail"] = events.encode()
    ended = cli("traces", "tail")
    assert ended.out.splitlines()[0].startswith("12:00:00.000  req_1  200")
    assert ended.out.splitlines()[1] == "(3 captures are missing here)"
    assert (ended.code, "\x1b" in ended.out, "over" in ended.err) == (2, False, True)
    lines = cli("traces", "tail", "--json", "--after", "3").out.splitlines()
    assert [json.loads(line) for line in lines] == [SUMMARY, {"missed": 3}]


def test_a_replay_and_a_tail_need_a_gateway(cli: Cli, gateway: Stored) -> None:
    for arguments in (("tail",), ("replay", "req_1")):
        ended = cli("traces", *arguments)
        assert (ended.code, "no gateway runs on this data directory" in ended.err) == (1, True)


def test_help_says_what_a_replay_costs(cli: Cli) -> None:
    assert "spends credits" in cli("traces", "replay", "--help").out
