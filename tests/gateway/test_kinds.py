"""
What a call is for, held against what programs send: `cases/kinds.jsonl` has one request a line, cut short, most of
them as recorded from the programs themselves; the last of them are look-alikes, which are turns.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from copilot_api.api.intake import client_program
from copilot_api.errors import GatewayError
from copilot_api.gateway import surfaces
from copilot_api.gateway.kinds import (
    EVERY,
    LIBRARIES,
    MEANINGS,
    PROBE_BYTES,
    RULES,
    Kind,
    Rule,
    Where,
    find_kind,
    read_clues,
)
from copilot_api.gateway.surface import Surface
from copilot_api.protocols.base import SHOWN_CHARACTERS, Envelope

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "kinds.jsonl").read_text().splitlines()]
SURFACES: dict[str, Surface] = {each.endpoint: each for each in vars(surfaces).values() if isinstance(each, Surface)}
CHAT, MESSAGES, RESPONSES, GEMINI = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1beta/generateContent"
CLIENTS = sorted({client for rule in RULES for client in rule.program.clients} | {"curl"})


def kind_of(endpoint: str, body: bytes, client: str, head: dict[bytes, bytes] | None = None) -> Kind:
    request = SURFACES[endpoint].parse_request(body, Envelope(model="gemini-2.5-pro"))
    return find_kind(client, endpoint, read_clues(client, head or {}), request)


def name_of(case: dict[str, Any]) -> str:
    return f"{client_program(case['head']['user-agent'].encode())} {case['case']} is {case['kind']}"


@pytest.mark.parametrize("is_compact", [True, False], ids=["compact", "with spaces and escapes"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_what_programs_send_is_recognised_and_what_looks_like_it_is_not(case: dict[str, Any], is_compact: bool) -> None:
    head = {name.encode(): value.encode() for name, value in case["head"].items()}
    body = json.dumps(case["body"], ensure_ascii=not is_compact, separators=(",", ":") if is_compact else (", ", ": "))
    client = client_program(head[b"user-agent"])
    assert kind_of(case["endpoint"], body.encode(), client, head) == case["kind"]


def test_the_cases_show_each_kind() -> None:
    assert {case["kind"] for case in CASES} == set(Kind)


@pytest.mark.parametrize("program", sorted({rule.program.name for rule in RULES} - {"every"}))
def test_the_cases_show_each_program(program: str) -> None:
    clients = next(rule.program.clients for rule in RULES if rule.program.name == program)
    seen = [case for case in CASES if client_program(case["head"]["user-agent"].encode()) in clients]
    if clients[-1] in LIBRARIES:
        seen = [case for case in seen if case["case"].startswith(program.removeprefix("Copilot Chat in "))]
    assert {case["kind"] for case in seen} - {"turn"}


# The table ----------------------------------------------------------------------------------------------------------


def test_the_vocabulary_is_closed_and_explained() -> None:
    assert list(MEANINGS) == list(Kind)
    assert {rule.kind for rule in RULES} == set(Kind) - {Kind.TURN}


def about_texts() -> list[Rule]:
    return [rule for rule in RULES if rule.where in {Where.SAID, Where.WHOLE, Where.SYSTEM}]


@pytest.mark.parametrize("rule", about_texts(), ids=lambda rule: f"{rule.program.name}: {rule.marker[:50]}")
@pytest.mark.parametrize("endpoint", [CHAT, MESSAGES, RESPONSES, GEMINI])
def test_a_rule_about_a_text_fits_on_every_endpoint_and_for_each_of_its_clients(rule: Rule, endpoint: str) -> None:
    text = rule.marker if rule.where is Where.WHOLE else rule.marker + "\nand so on"
    is_system = rule.where is Where.SYSTEM
    system, said = (text, "x" * PROBE_BYTES) if is_system else ("be brief", text)
    body = body_of(endpoint, system, said)
    for client in rule.program.clients:
        assert kind_of(endpoint, body, client) is rule.kind


def body_of(endpoint: str, system: str, said: str) -> bytes:
    """A request with these two texts, as simple as the endpoint has it."""
    body: dict[str, Any]
    user = {"role": "user", "content": said}
    match endpoint:
        case "/v1/chat/completions":
            body = {"model": "m", "messages": [{"role": "system", "content": system}, user]}
        case "/v1/messages":
            blocks = [{"type": "text", "text": "x-billing: 1"}, {"type": "text", "text": system}]
            body = {"model": "m", "max_tokens": 9, "system": blocks, "messages": [user]}
        case "/v1/responses":
            body = {"model": "m", "instructions": system, "input": said}
        case _:
            body = {"systemInstruction": {"parts": [{"text": system}]}, "contents": [{"parts": [{"text": said}]}]}
    return json.dumps(body).encode()


ABOUT_HEADERS = [rule for rule in RULES if rule.header]


@pytest.mark.parametrize("rule", ABOUT_HEADERS, ids=lambda rule: f"{rule.header} {rule.marker}")
def test_a_rule_about_a_header_fits_and_no_other_client_has_its_headers_read(rule: Rule) -> None:
    value = f"{{{rule.marker}}}"
    expected = next(each.kind for each in ABOUT_HEADERS if each.header == rule.header and each.marker in value)
    body = body_of(CHAT, "be brief", "fix it")
    for client in CLIENTS:
        found = kind_of(CHAT, body, client, {rule.header.encode(): value.encode()})
        assert found is (expected if client in rule.program.clients else Kind.TURN)


def test_words_are_long_enough_to_be_nobody_elses_and_short_enough_to_be_seen() -> None:
    """What stands before a program's own prompt (Claude Code: two other texts) takes up to 350 bytes."""
    for rule in about_texts():
        assert len(rule.marker) < SHOWN_CHARACTERS - 350
        assert len(rule.marker) >= 25 or rule.where is Where.WHOLE
        assert rule.marker.isascii(), "some clients escape what is not"


def test_each_rule_says_where_it_comes_from() -> None:
    for rule in RULES:
        assert rule.source.startswith(("seen: ", "read: ")) or rule.program is EVERY


def test_only_what_a_rule_reads_is_kept_of_the_headers() -> None:
    head = {b"authorization": b"Bearer sk", b"x-parent-session-id": b"ses", b"x-openai-subagent": b"y" * 9000}
    assert read_clues("opencode", head) == {b"x-parent-session-id": b"ses"}
    assert read_clues("codex", head) == {b"x-openai-subagent": b"y" * 2048}
    assert read_clues("curl", head) is None


# Requests that mean no good -----------------------------------------------------------------------------------------

NESTED = b"[" * 400 + b"]" * 400
ODD_TEXTS = [b"null", b"5", b"true", b"{}", b"[]", b"[5]", b"[[]]", b'""', b'"\\ud800"', b'"\\"', b"[null]", b'{"a":1}',
             NESTED, b'[{"type":"text"}]', b'[{"type":"text","text":5}]', b'[{"type":"text","text":null}]',
             b'[{"type":"text","text":[{}]}]', b'[{"text":"Warmup"}]', b'"' + b"\\" * 700 + b'"', b'"' + b'\\"' * 700 + b'"',
             b'"' + b"x" * 3_000_000 + b'"', b"[" + b'{"type":"text","text":"Warmup "},' * 20_000 + b'{"type":"text"}]']  # fmt: skip
ODD_BODIES = [
    *[(CHAT, b'{"model":"m","messages":[{"role":"system","content":%b},{"role":"user","content":%b}]}' % (odd, odd)) for odd in ODD_TEXTS],
    *[(MESSAGES, b'{"model":"m","max_tokens":1,"system":%b,"messages":[{"role":"user","content":%b}]}' % (odd, odd)) for odd in ODD_TEXTS],
    *[(RESPONSES, b'{"model":"m","instructions":%b,"input":%b}' % (odd, odd)) for odd in ODD_TEXTS],
    *[(RESPONSES, b'{"model":"m","input":[{"role":"developer","content":%b},{"role":"user","content":%b}]}' % (odd, odd)) for odd in ODD_TEXTS],
    *[(GEMINI, b'{"systemInstruction":%b,"contents":%b}' % (odd, odd)) for odd in ODD_TEXTS],
    *[(GEMINI, b'{"systemInstruction":{"parts":[{"text":%b}]},"contents":[{"parts":[{"text":%b}]}]}' % (odd, odd)) for odd in ODD_TEXTS],
    (CHAT, b'{"model":"m","messages":[%b{"role":"system","content":"x"}]}' % (b'{"role":"system","content":"x"},' * 50_000)),
    (MESSAGES, b'{"model":"m","max_tokens":1,"messages":[%b{"role":"system","content":"x"}]}' % (b'{"role":"system","content":"x"},' * 50_000)),
    (RESPONSES, b'{"model":"m","input":[%b{}]}' % (b'{"role":"system"},' * 50_000)),
    (RESPONSES, b'{"model":"m","input":[]}'),
    (GEMINI, b'{"contents":[{}],"tools":{}}'),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ODD_BODIES)))
def test_no_request_makes_it_fail(number: int) -> None:
    """A call must not break for the sake of the report; what the protocol refuses never comes here."""
    endpoint, body = ODD_BODIES[number]
    try:
        request = SURFACES[endpoint].parse_request(body, Envelope(model="gemini-2.5-pro"))
    except GatewayError:
        return
    for client in CLIENTS:
        clues = read_clues(client, {b"x-codex-turn-metadata": b"\xff" * 9000, b"x-parent-session-id": b""})
        assert find_kind(client, endpoint, clues, request) in set(Kind)


def test_many_of_the_odd_requests_are_taken() -> None:
    taken = 0
    for endpoint, body in ODD_BODIES:
        with suppress(GatewayError):
            SURFACES[endpoint].parse_request(body, Envelope(model="gemini-2.5-pro"))
            taken += 1
    assert taken > 30
