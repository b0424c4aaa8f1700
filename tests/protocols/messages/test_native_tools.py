import json
from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.messages.native_tools import Choice, EditedTools, edit_tools, read_choice
from tests.protocols.messages.upstream_events import HAIKU, SONNET

OPEN = Choice()
SCHEMA = {"type": "object", "properties": {}}
TOOL = {"name": "get", "description": "d", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def edited(
    *tools: Any, choice: Choice = OPEN, traits: ModelTraits = SONNET, betas: tuple[str, ...] = ()
) -> EditedTools:
    found = edit_tools(json.dumps(tools).encode(), choice, traits, betas)
    assert found is not None
    return found


def values(found: EditedTools) -> list[Any]:
    return [json.loads(raw) for raw in found.raws]


def test_tools_that_can_stay_keep_their_bytes() -> None:
    tools = [TOOL, {"type": "bash_20250124", "name": "bash"}, {"type": "custom", **TOOL}]
    found = edited(*tools)
    assert not found.is_edited
    assert found.raws == [json.dumps(tool).encode() for tool in tools]


def test_pitfall_027_fields_that_only_anthropic_knows_go() -> None:
    extra = {
        "eager_input_streaming": True,
        "defer_loading": True,
        "allowed_callers": [],
        "input_examples": [],
        "new": 1,
    }
    assert values(edited({**TOOL, **extra})) == [TOOL]


def test_loading_later_goes_with_a_tool_that_searches() -> None:
    search = {"type": "tool_search_tool_regex", "name": "search"}
    assert values(edited(search, {**TOOL, "defer_loading": True}))[1]["defer_loading"] is True


def test_examples_go_with_their_beta() -> None:
    tool = {**TOOL, "input_examples": [{}]}
    assert not edited(tool, betas=("advanced-tool-use-2025-11-20",)).is_edited


def test_strict_stays_where_the_model_knows_it() -> None:
    assert "strict" in values(edited({**TOOL, "strict": True}))[0]
    assert "strict" not in values(edited({**TOOL, "strict": True}, traits=HAIKU))[0]
    assert "strict" not in values(edited({**TOOL, "strict": False}))[0]


def test_a_schemas_uri_goes_and_the_rest_of_it_keeps_its_bytes() -> None:
    raw = b'[{"name":"get","input_schema":{"$schema":"x","type" : "object","n":1.0}}]'
    found = edit_tools(raw, Choice(), SONNET, ())
    assert found is not None
    assert found.raws == [b'{"name":"get","input_schema":{"type":"object","n":1.0}}']
    nested = {"name": "get", "input_schema": {"$schema": "x", "items": {"$schema": "y"}, "properties": {"$schema": {}}}}
    assert values(edited(nested))[0]["input_schema"] == {"items": {}, "properties": {"$schema": {}}}


def test_pitfall_032_cache_marks_have_a_type_only() -> None:
    found = edited(
        {**TOOL, "cache_control": {"type": "ephemeral", "scope": "global", "ttl": "1h"}},
        {**TOOL, "cache_control": None},
    )
    assert [tool.get("cache_control") for tool in values(found)] == [{"type": "ephemeral"}, None]
    assert found.marks == 1


@pytest.mark.parametrize(
    "kind", ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset", "advisor_1"]
)
def test_pitfall_010_what_anthropics_servers_would_run_is_left_out(kind: str) -> None:
    found = edited({"type": kind, "name": "x"}, TOOL)
    assert (values(found), found.is_edited) == ([TOOL], True)
    assert edited({"type": kind, "name": "x"}).raws == []


def test_pitfall_010_a_forced_tool_that_nobody_runs_is_refused() -> None:
    for choice, tools in ((Choice("tool", "web_search"), [SEARCH, TOOL]), (Choice("any"), [SEARCH])):
        with pytest.raises(BadRequest) as caught:
            edited(*tools, choice=choice)
        assert caught.value.param == "tool_choice"
    assert values(edited(SEARCH, TOOL, choice=Choice("any"))) == [TOOL]


def test_tools_of_another_kind_are_the_upstreams_business() -> None:
    assert edit_tools(b"{}", Choice(), SONNET, ()) is None
    assert values(edited(3, {"type": 3}, {"name": "x", "input_schema": []})) == [
        3,
        {"type": 3},
        {"name": "x", "input_schema": []},
    ]


def test_a_choice_is_read_as_far_as_it_is_one() -> None:
    assert read_choice(b'{"type":"tool","name":"x","more":1}') == Choice("tool", "x")
    assert read_choice(b'{"type":"any"}').is_forced
    for raw in (None, b"null", b'"auto"', b'{"type":3}'):
        assert not read_choice(raw).is_forced
