"""The pieces of tool calls, put in order: whatever the upstream repeats or leaves out, each call arrives once and whole."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.chat.tool_calls import ToolCalls
from tests.protocols.chat import grammar

PROPERTY = settings(derandomize=True, deadline=None, database=None)


def piece(index: Any = None, id: Any = None, name: Any = None, arguments: Any = None, **more: Any) -> dict[str, Any]:  # noqa: A002 -- the wire's word
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    found: dict[str, Any] = {**more, **({"function": function} if function else {})}
    if index is not None:
        found["index"] = index
    if id is not None:
        found["id"] = id
    return found


def mended(*pieces: dict[str, Any], choices: list[int] | None = None) -> list[dict[str, Any]]:
    """The pieces as a client gets them; the rules are checked."""
    calls = ToolCalls()
    out = []
    for number, each in enumerate(pieces):
        found = calls.mend(each, choices[number] if choices else 0, "chatcmpl-1")
        if found is not None:
            out.append(found)
    out += calls.endings()
    known: list[int] = []
    for found in out:
        grammar.check_call(found, known)
    assert bool(calls) == bool(known)
    return out


def whole(*pieces: dict[str, Any], choices: list[int] | None = None) -> list[tuple[str, str, str]]:
    """The calls that a client puts together: id, name, arguments."""
    calls: dict[int, list[str]] = {}
    for found in mended(*pieces, choices=choices):
        call = calls.setdefault(found["index"], [found.get("id", ""), found["function"].get("name", ""), ""])
        call[2] += found["function"]["arguments"]
    return [(call[0], call[1], call[2]) for call in calls.values()]


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_nothing_is_nothing() -> None:
    assert mended() == []
    assert not ToolCalls()


def test_openais_way() -> None:
    """Id and name once, then the index and pieces of arguments."""
    pieces = [
        piece(0, "a", "get", ""),
        piece(0, arguments='{"x"'),
        piece(0, arguments=":1}"),
        piece(1, "b", "put", ""),
        piece(1, arguments="[]"),
    ]
    assert whole(*pieces) == [("a", "get", '{"x":1}'), ("b", "put", "[]")]


def test_claudes_way() -> None:
    """The name without arguments, then the id again with each piece; the next call in another choice at index 0."""
    pieces = [
        piece(0, "a", "get"),
        piece(0, "a", arguments=""),
        piece(0, "a", arguments="{}"),
        piece(0, "b", "put"),
        piece(0, "b", arguments="[]"),
    ]
    assert whole(*pieces, choices=[1, 1, 1, 2, 2]) == [("a", "get", "{}"), ("b", "put", "[]")]


@pytest.mark.parametrize("call_id", ["", None])
@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize("names", [("get", "put"), ("get", "get")])
def test_geminis_way(call_id: str | None, index: int | None, names: tuple[str, str]) -> None:
    """Whole calls, one a piece, without ids and without counting; perhaps the same tool twice."""
    first, second = whole(piece(index, call_id, names[0], '{"x":1}'), piece(index, call_id, names[1], '{"x":2}'))
    assert (first[1:], second[1:]) == ((names[0], '{"x":1}'), (names[1], '{"x":2}'))
    assert first[0] != second[0]


@pytest.mark.parametrize("arguments", ["", None])
@pytest.mark.parametrize("call_id", ["a", None])
def test_117_a_name_sent_again_without_arguments_is_no_new_call(arguments: str | None, call_id: str | None) -> None:
    assert whole(piece(0, "a", "get", "{}"), piece(0, call_id, "get", arguments)) == [("a", "get", "{}")]


@pytest.mark.parametrize("call_id", ["a", None])
def test_117_a_call_sent_again_whole_is_not_doubled(call_id: str | None) -> None:
    pieces = [
        piece(0, "a", "get", ""),
        piece(0, arguments='{"x":'),
        piece(0, arguments="1}"),
        piece(0, call_id, "get", '{"x":1}'),
    ]
    assert whole(*pieces) == [("a", "get", '{"x":1}')]


@pytest.mark.parametrize("names", [("get", "put"), ("get", "get")])
def test_an_id_used_again_for_a_whole_call_is_another_call(names: tuple[str, str]) -> None:
    """Gemini's ids may come twice; two calls of one id could not be answered."""
    first, second = whole(piece(0, "a", names[0], '{"x":1}'), piece(0, "a", names[1], '{"x":2}'))
    assert (first, second[1:]) == (("a", names[0], '{"x":1}'), (names[1], '{"x":2}'))
    assert second[0] not in {"", "a"}


def test_72_an_id_that_comes_after_the_name_belongs_to_the_call_under_way() -> None:
    pieces = [piece(0, name="get"), piece(0, "a", arguments='{"x"'), piece(0, "a", arguments=":1}")]
    [(call_id, name, arguments)] = whole(*pieces)
    assert (name, arguments) == ("get", '{"x":1}')
    assert call_id


def test_a_name_on_every_piece_is_said_once() -> None:
    pieces = [piece(0, "a", "get", ""), *(piece(0, name="get", arguments=part) for part in ('{"x"', ':"', 'y"', "}"))]
    assert whole(*pieces) == [("a", "get", '{"x":"y"}')]


def test_72_what_comes_before_the_name_is_kept() -> None:
    assert whole(piece(0, "a"), piece(0, arguments='{"x"'), piece(0, name="get"), piece(0, arguments=":1}")) == [
        ("a", "get", '{"x":1}')
    ]
    assert whole(piece(0, arguments="{"), piece(0, name="get", arguments="}"))[0][1:] == ("get", "{}")


def test_a_call_that_never_gets_a_name_is_not_lost() -> None:
    """A client that cannot run it says so; one that never hears of it waits."""
    [(call_id, name, arguments)] = whole(piece(0, "a", arguments='{"x":1}'))
    assert (call_id, arguments) == ("a", '{"x":1}')
    assert name


def test_what_else_an_upstream_says_of_a_call_survives() -> None:
    [first] = mended(piece(0, "a", "get", "{}", type="function", vendor={"x": 1}))
    assert first["vendor"] == {"x": 1}


@pytest.mark.parametrize("arguments", [{"x": 1}, ["x"], {"é": "\u2028"}])
def test_arguments_that_come_as_an_object_are_its_json(arguments: Any) -> None:
    [(_, _, text)] = whole(piece(0, "a", "get", arguments))
    assert json.loads(text) == arguments


def test_65_a_call_without_arguments_has_an_empty_object() -> None:
    pieces = [
        piece(0, "a", "now", ""),
        piece(1, "b", "now"),
        piece(2, "c", "now", " "),
        piece(3, "d", "get", '{"x":1}'),
    ]
    assert [json.loads(arguments) for _, _, arguments in whole(*pieces)] == [{}, {}, {}, {"x": 1}]


@pytest.mark.parametrize(
    "odd",
    [
        {}, {"index": "x"}, {"index": []}, {"index": 1.5}, {"index": True}, {"index": -1}, {"index": 10**30}, {"id": 1}, {"id": []}, {"function": "x"},
        {"function": []}, {"function": None}, {"function": {"name": 1}}, {"function": {"name": ["x"]}}, {"function": {"arguments": 5}}, {"type": 3},
    ],
    ids=json.dumps,
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1, 2])
def test_odd_pieces_break_nothing(odd: dict[str, Any], place: int) -> None:
    pieces = [piece(0, "a", "get", "{"), piece(0, arguments="}")]
    pieces.insert(place, odd)
    found = whole(*pieces)
    assert any(name == "get" and arguments.endswith("}") for _, name, arguments in found)


@settings(PROPERTY, max_examples=150)
@given(data=st.data())
def test_calls_with_ids_always_arrive_whole_and_in_order(data: st.DataObject) -> None:
    """Whatever is repeated, and however the pieces of several calls are mixed."""
    count = data.draw(st.integers(1, 3))
    texts = [
        data.draw(
            st.lists(st.sampled_from(['{"a"', ":1", "}", "{}", "[", "]", "1", '"x"', " "]), min_size=1, max_size=4)
        )
        for _ in range(count)
    ]
    repeats_id, repeats_name = data.draw(st.booleans()), data.draw(st.booleans())
    queues = [
        [piece(number, f"id{number}", f"name{number}", "")]
        + [
            piece(
                number,
                f"id{number}" if repeats_id or repeats_name else None,
                f"name{number}" if repeats_name else None,
                text,
            )
            for text in parts
        ]
        for number, parts in enumerate(texts)
    ]
    pieces = [queue.pop(0) for queue in queues]
    while any(queues):
        pieces.append(data.draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    expected = []
    for number, parts in enumerate(texts):
        text = "".join(parts)
        if repeats_name and len(parts) == 2 and parts[0] == parts[1]:
            return  # indistinguishable from a call sent again whole
        expected.append((f"id{number}", f"name{number}", text if text.strip() else text + "{}"))
    if repeats_name:
        for parts in texts:
            for place in range(1, len(parts)):
                if parts[place] == "".join(parts[:place]) or (
                    is_json("".join(parts[:place])) and is_json(parts[place])
                ):
                    return  # nor from another whole call under a used id
    assert whole(*pieces) == expected


@pytest.mark.parametrize("call_id", ["a", None])
@pytest.mark.parametrize("name", ["get", None])
def test_114_long_arguments_take_linear_time(call_id: str | None, name: str | None) -> None:
    """Two megabytes in ten thousand pieces, with everything repeated on each."""
    pieces = (
        [piece(0, "a", "get", '{"x":"')]
        + [piece(0, call_id, name, "y" * 200) for _ in range(10_000)]
        + [piece(0, arguments='"}')]
    )
    calls = ToolCalls()
    began = time.monotonic()
    for each in pieces:
        calls.mend(each, 0, "s")
    calls.endings()
    assert time.monotonic() - began < 2.0
