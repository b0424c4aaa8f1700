"""JSON with the place of every value: read as everybody else reads it, refused as everybody else refuses it."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.config.json_text import MAX_DEPTH, JsonMalformed, Node, parse_json, place_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=20,
)
DOCUMENT = '{\n  "a": [1, -2.5e3, true],\n  "b": {"c": "x\\u00e9\\n\\"", "d": null},\n  "e": {}\n}\n'


def nodes_in(node: Node) -> Iterator[Node]:
    yield node
    for below in (*node.items, *(member.node for member in node.members)):
        yield from nodes_in(below)


@given(VALUES, st.sampled_from([None, 1, 4, "\t"]), st.booleans())
def test_what_others_write_is_read_and_every_value_stands_where_it_is_said_to(
    value: Any, indent: int | str | None, is_ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    if text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text):
        root = parse_json(text)
        assert root.value == value
        for node in nodes_in(root):
            assert json.loads(text[node.start : node.end]) == node.value


def test_a_field_that_is_named_twice_is_there_twice() -> None:
    root = parse_json('{"a": 1, "a": 2}')
    assert [(member.name, member.start, member.node.value) for member in root.members] == [("a", 1, 1), ("a", 9, 2)]
    assert root.value == {"a": 2}
    found = root.find("a")
    assert found is not None
    assert found.node.value == 1
    assert root.find("b") is None


@pytest.mark.parametrize(
    ("text", "offset", "reason"),
    [
        ("", 0, "ends too early"), ("{", 1, "ends too early"), ('{"a"', 4, "ends too early"), ('{"a":', 5, "ends too early"), ('{"a":1', 6, "ends too early"), ("[1,", 3, "ends too early"),
        ('{"a', 1, "inside of a text"), ('{"a": "b}', 6, "inside of a text"), ('{"a": "b\n"}', 6, "does not end on its line"), ('{"a": "b\t"}', 8, "control character"),
        (r'{"a": "C:\dir"}', 9, "no such escape"), (r'{"a": "\u12"}', 7, "no such escape"), (r'{"a": "\ud800"}', 6, "half of a surrogate pair"), (r'{"a": "\udc00\ud800"}', 6, "half of a surrogate pair"),
        ("{} {}", 3, "follows the end"), ("{'a': 1}", 1, "straight double quotes"), ('{"a": \u201cb\u201d}', 6, "straight double quotes"), ("{a: 1}", 1, "name of a field in double quotes"),
        ('{"a": 1,}', 7, "comma too many"), ("[1,\n]", 2, "comma too many"), ('{"a": 1 "b": 2}', 8, "comma or } is expected"), ("[1 2]", 3, "comma or ] is expected"), ('{"a" 1}', 5, "colon is expected"),
        ('{"a": }', 6, "a JSON value is expected"), ("[,]", 1, "a JSON value is expected"), ('{"a": NaN}', 6, "a JSON value is expected"), ('{"a": True}', 6, "a JSON value is expected"), ("[-Infinity]", 1, "a JSON value is expected"),
        ('{"a": 01}', 6, "no JSON number"), ('{"a": 1.}', 6, "no JSON number"), ('{"a": +1}', 6, "a JSON value is expected"), ('{"a": .5}', 6, "a JSON value is expected"), ('{"a": 1x}', 6, "no JSON number"),
        ('{"a": 1} // why', 9, "no comments"), ('{\n# why\n"a": 1}', 2, "no comments"), ('{"a": /* why */ 1}', 6, "no comments"),
        ("[" * 100, MAX_DEPTH + 1, "nested deeper"), ('{"a":' * 50_000, 5 * (MAX_DEPTH + 1), "nested deeper"), ("\x00", 0, "a JSON value is expected"), ("version: 1", 0, "a JSON value is expected"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused_with_the_place_and_the_reason(text: str, offset: int, reason: str) -> None:
    with pytest.raises(JsonMalformed, match=reason.replace("}", "\\}").replace("]", "\\]")) as refusal:
        parse_json(text)
    assert refusal.value.offset == offset


def test_a_number_of_a_thousand_digits_is_no_reason_to_fail() -> None:
    assert parse_json("1" * 1000).value == float("inf")
    assert parse_json("1" * 200).value == int("1" * 200)
    assert parse_json("1e999").value == float("inf")


def test_cut_off_anywhere_it_is_refused() -> None:
    whole = DOCUMENT.rstrip()
    for length in range(len(whole)):
        with pytest.raises(JsonMalformed):
            parse_json(whole[:length])


def test_what_others_refuse_is_refused_and_nothing_else() -> None:
    """One character changed, added or removed, thousands of times."""
    chance = random.Random(5)
    verdicts = {True: 0, False: 0}
    for _ in range(4000):
        at = chance.randrange(len(DOCUMENT))
        cut = chance.choice([0, 1])
        text = DOCUMENT[:at] + chance.choice(["", *'{}[]",:\\ 019.-+eEtrufalsn\n\t\x01\u00e9']) + DOCUMENT[at + cut :]
        try:
            expected = json.loads(text, parse_constant=pytest.fail)
        except ValueError:
            with pytest.raises(JsonMalformed):
                parse_json(text)
            verdicts[False] += 1
        else:
            assert parse_json(text).value == expected
            verdicts[True] += 1
    assert min(verdicts.values()) > 200


@pytest.mark.parametrize(
    ("offset", "place"), [(0, (1, 1)), (1, (1, 2)), (2, (1, 3)), (3, (2, 1)), (5, (3, 1)), (6, (3, 2))]
)
def test_lines_and_columns_are_counted_from_one(offset: int, place: tuple[int, int]) -> None:
    assert place_of("ab\nc\nd", offset) == place
