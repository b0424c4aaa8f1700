"""A Messages request in the neutral form; the case files hold what real clients send."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest, GatewayError
from copilot_api.protocols.conversation import OutputFormat, Thinking
from copilot_api.protocols.messages.read import read_conversation
from copilot_api.protocols.messages.request import parse_count_request, parse_request
from tests.protocols.messages.client_calls import CASES, USER, described, read, source

PROPERTY = settings(derandomize=True, deadline=None, database=None)
ALL = sorted(path for path in CASES.iterdir() if (path / "request.json").exists())
INVALID = sorted((CASES / "invalid").iterdir())


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_client_is_understood(case: Path) -> None:
    said = read_conversation(parse_request((case / "request.json").read_bytes()))
    assert described(said) == json.loads((case / "conversation.json").read_text())


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case.name)
def test_what_no_other_protocol_can_say_is_refused(case: Path) -> None:
    expected = json.loads((case / "error.json").read_text())
    with pytest.raises(GatewayError) as refusal:
        read_conversation(parse_request((case / "request.json").read_bytes()))
    assert {"code": refusal.value.public_code, "param": refusal.value.param} == expected


def test_the_plain_fields_are_taken_over() -> None:
    said = read(temperature=0.5, top_p=1, top_k=3, stop_sequences=["a", ""], stream=True, max_tokens=9)
    assert (said.model, said.temperature, said.top_p, said.top_k, said.stop, said.is_streamed, said.max_output_tokens) == (
        "claude-opus-4-7", 0.5, 1.0, 3, ("a", ""), True, 9,
    )  # fmt: skip


def test_a_request_to_be_counted_is_read_alike() -> None:
    assert read_conversation(parse_count_request(source(max_tokens=...))).max_output_tokens is None


@pytest.mark.parametrize(
    ("system", "texts"),
    [(None, ()), ("", ()), ("a", ("a",)), ([], ()), ([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}], ("a", "b"))],
)  # fmt: skip
def test_pitfall_008_each_system_block_is_a_text_of_its_own(system: Any, texts: tuple[str, ...]) -> None:
    assert read(system=system).system == texts


@pytest.mark.parametrize(
    ("thinking", "config", "expected"),
    [
        (None, None, None),
        (None, {"effort": "max"}, Thinking(effort="max")),
        ({"type": "enabled", "budget_tokens": 31999}, None, Thinking(budget_tokens=31999)),
        ({"type": "enabled", "budget_tokens": 2000, "display": "omitted"}, {"effort": "low"}, Thinking(effort="low", budget_tokens=2000, is_shown=False)),
        ({"type": "enabled"}, None, Thinking(is_adaptive=True)),
        ({"type": "adaptive"}, None, Thinking(is_adaptive=True)),
        ({"type": "adaptive", "display": "updates"}, {"effort": "xhigh"}, Thinking(effort="xhigh", is_adaptive=True, is_shown=True)),
        ({"type": "disabled"}, None, Thinking(is_disabled=True)),
    ],
)  # fmt: skip
def test_thinking_is_asked_for_as_the_client_asked(thinking: Any, config: Any, expected: Thinking | None) -> None:
    assert read(thinking=thinking, output_config=config).thinking == expected


def test_pitfall_022_an_effort_is_not_judged_here() -> None:
    said = read(output_config={"effort": "max"}).thinking
    assert said is not None
    assert said.effort == "max"


def test_pitfall_023_thinking_that_is_off_stays_off() -> None:
    said = read(thinking={"type": "disabled"}, output_config={"effort": "high"}).thinking
    assert said is not None
    assert said.is_disabled


SCHEMA = {"type": "object", "properties": {}}


@pytest.mark.parametrize("where", ["output_config", "output_format"])
def test_the_form_of_the_answer_has_two_spellings(where: str) -> None:
    form = {"type": "json_schema", "schema": SCHEMA}
    said = read(**{where: {"format": form} if where == "output_config" else form})
    assert said.output_format == OutputFormat(kind="json_schema", schema=SCHEMA)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
        ({"output_format": {"type": "json_schema", "schema": []}}, "output_format.schema"),
        ({"thinking": {"type": "on"}}, "thinking.type"),
        ({"system": 1}, "system"),
        ({"system": [{"type": "text"}]}, "system[0].text"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": {}}, "mcp_servers"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(**fields)
    assert refusal.value.param == param


# Who asks ---------------------------------------------------------------------------------------------------------


def identity(user_id: Any) -> tuple[str | None, str | None]:
    said = read(metadata={"user_id": user_id})
    return said.user, said.cache_key


def claude_code(session: str, device: str = "d" * 64) -> str:
    return json.dumps({"device_id": device, "account_uuid": "", "session_id": session})


def test_pitfall_015_the_session_groups_and_the_device_names() -> None:
    first, second = identity(claude_code("s-1")), identity(claude_code("s-2"))
    assert (first[1], second[1]) == ("s-1", "s-2")
    assert first[0] == second[0] != identity(claude_code("s-1", "e" * 64))[0]
    assert first[0] is not None
    assert len(first[0]) == 64


def test_pitfall_015_the_old_form_says_the_same() -> None:
    user, key = identity("user_0a1b_account_11111111-2222_session_33333333-4444")
    assert key == "33333333-4444"
    assert user == identity(json.dumps({"device_id": "0a1b", "account_uuid": "11111111-2222", "session_id": "x"}))[0]


@pytest.mark.parametrize(
    "user_id", ["alice", "a@example.org", "", "{", "{}", '{"session_id":1}', "user__account__session_", None, "x" * 200]
)
def test_pitfall_015_any_other_name_is_nobodys_business(user_id: Any) -> None:
    assert identity(user_id) == (None, None)


def test_pitfall_016_a_key_is_never_too_long() -> None:
    [first, again] = [identity(claude_code("s" * 67))[1] for _ in range(2)]
    assert first == again
    assert first is not None
    assert len(first) == 64


# Any JSON ---------------------------------------------------------------------------------------------------------

KINDS = [
    "text",
    "image",
    "document",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "search_result",
    "mid_conv_system",
    "x",
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from([*KINDS, "base64", "url", "content", "gw1.rs.AAAA"])
)
NAMES = st.sampled_from(
    [
        "type",
        "text",
        "content",
        "source",
        "data",
        "url",
        "media_type",
        "id",
        "name",
        "input",
        "tool_use_id",
        "signature",
        "title",
    ]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
FIELDS = [
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "container",
    "mcp_servers",
]


@PROPERTY
@given(
    st.sampled_from(KINDS), st.dictionaries(NAMES, JSON, max_size=5), st.sampled_from(["user", "assistant", "system"])
)
def test_any_block_is_read_or_refused(kind: str, fields: dict[str, Any], role: str) -> None:
    with contextlib.suppress(BadRequest):
        read(messages=[USER, {"role": role, "content": [{**fields, "type": kind}]}])


@PROPERTY
@given(st.sampled_from(FIELDS), JSON)
def test_any_field_is_read_or_refused(field: str, value: Any) -> None:
    with contextlib.suppress(BadRequest):
        read(**{field: value})
