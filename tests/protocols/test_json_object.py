"""The top level of a JSON object: what is edited changes, what is not keeps its bytes, and no field is there twice."""

import gc
import json
import time
import tracemalloc
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest
from copilot_api.protocols.json_object import parse_object, refuse_duplicate_keys, rewrite, wrong_field

PROPERTY = settings(derandomize=True, deadline=None, database=None)

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t ", "\r\n  ", " " * 20])
NAMES = st.text(alphabet='abcé😀\u2028"\\/\n{}:, ', max_size=4)


def quoted(text: str, manner: str) -> str:
    """`text` as a JSON string: `plain`, with non-ASCII `escaped`, or every character as a code."""
    if manner == "plain":
        return json.dumps(text, ensure_ascii=False)
    if manner == "escaped":
        return json.dumps(text)
    units = text.encode("utf-16-be")
    return '"' + "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2)) + '"'


@dataclass(frozen=True)
class Piece:
    """One field as it stands in a source: its parts in order."""

    name: str
    key: str
    spaces: tuple[str, str, str, str]
    value: str

    def text(self, value: str | None = None) -> str:
        before, after_key, before_value, after = self.spaces
        return f"{before}{self.key}{after_key}:{before_value}{self.value if value is None else value}{after}"


@st.composite
def objects(
    draw: st.DrawFn, *, manners: tuple[str, ...] = ("plain", "escaped", "codes")
) -> tuple[str, list[Piece], str]:
    """The pieces of an object's source: what stands before, the fields, what stands after."""
    names = draw(st.lists(NAMES, max_size=5, unique=True))
    pieces = []
    for name in names:
        value = json.dumps(
            draw(VALUES), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 1]))
        )
        spaces = draw(st.tuples(SPACE, SPACE, SPACE, SPACE))
        pieces.append(Piece(name, quoted(name, draw(st.sampled_from(manners))), spaces, value))
    return draw(SPACE), pieces, draw(SPACE)


def source_of(before: str, pieces: list[Piece], after: str) -> bytes:
    return f"{before}{{{','.join(piece.text() for piece in pieces)}}}{after}".encode()


@settings(PROPERTY, max_examples=300)
@given(
    parts=objects(),
    edits=st.dictionaries(NAMES, st.none() | VALUES.map(json.dumps), max_size=3),
    targeted=st.lists(st.tuples(st.integers(0, 4), st.none() | VALUES.map(json.dumps)), max_size=2),
)
def test_an_edit_means_what_it_means_on_the_decoded_object(
    parts: tuple[str, list[Piece], str], edits: dict[str, str | None], targeted: list[tuple[int, str | None]]
) -> None:
    before, pieces, after = parts
    source = source_of(before, pieces, after)
    for number, value in targeted:
        if pieces:
            edits[pieces[number % len(pieces)].name] = value
    found = parse_object(source)
    out = found.replaced({name: None if value is None else value.encode() for name, value in edits.items()})
    expected = json.loads(source)
    for name, value in edits.items():
        if value is None:
            expected.pop(name, None)
        else:
            expected[name] = json.loads(value)
    assert json.loads(out) == expected
    refuse_duplicate_keys(out)


@settings(PROPERTY, max_examples=300)
@given(
    parts=objects(manners=("plain",)),
    chosen=st.sets(st.integers(0, 4), max_size=3),
    new=st.none() | VALUES.map(json.dumps),
)
def test_every_byte_outside_an_edit_stays(
    parts: tuple[str, list[Piece], str], chosen: set[int], new: str | None
) -> None:
    """Keys without an escape can be walked whatever the white space; those with one are written anew."""
    before, pieces, after = parts
    pieces = [piece for piece in pieces if "\\" not in piece.key]
    source = source_of(before, pieces, after)
    edits: dict[str, bytes | None] = {
        piece.name: b'{"new": [1]}' for number, piece in enumerate(pieces) if number in chosen
    }
    inner = ",".join(piece.text('{"new": [1]}' if piece.name in edits else None) for piece in pieces)
    if new is not None:
        name = "added"
        edits[name] = new.encode()
        inner += f'{"," if pieces else ""}"{name}":{new}'
    assert parse_object(source).replaced(edits) == f"{before}{{{inner}}}{after}".encode()


@settings(PROPERTY, max_examples=200)
@given(parts=objects(), chosen=st.integers(0, 4), new=st.sampled_from(["renamed", "ré", 'q"uote']))
def test_a_renamed_field_keeps_its_place_and_its_value(
    parts: tuple[str, list[Piece], str], chosen: int, new: str
) -> None:
    before, pieces, after = parts
    source = source_of(before, pieces, after)
    names = [piece.name for piece in pieces]
    renames = {names[chosen % len(names)]: new} if names else {"absent": new}
    out = parse_object(source).replaced({}, renames)
    expected = {renames.get(name, name): value for name, value in json.loads(source).items()}
    assert json.loads(out) == expected
    assert list(json.loads(out)) == list(expected)


@settings(PROPERTY, max_examples=300)
@given(parts=objects(), data=st.data())
def test_a_field_named_twice_is_always_refused(parts: tuple[str, list[Piece], str], data: st.DataObject) -> None:
    before, pieces, after = parts
    if not pieces:
        return
    twin = data.draw(st.sampled_from(pieces))
    key = quoted(twin.name, data.draw(st.sampled_from(["plain", "escaped", "codes"])))
    value = json.dumps(data.draw(VALUES | st.just(json.loads(twin.value))))
    again = Piece(twin.name, key, data.draw(st.tuples(SPACE, SPACE, SPACE, SPACE)), value)
    pieces.insert(data.draw(st.integers(0, len(pieces))), again)
    with pytest.raises(BadRequest, match="twice"):
        parse_object(source_of(before, pieces, after))


HIDDEN = [
    # The lengths of the fields add up although one is hidden: what one value covers is the other's white space.
    b'{"a":1,"b":{"x":0      ,"b":7},"a":"__________"}',
    b'{"a":1,"b":{"x":0      ,"b":7},"a":"__________" }',
    b' {"a":1,"b":{"x":0      ,"b":7},"a":"__________"}\n',
    b'{"model":1,"b":{"x":0          ,"b":7},"model":"__________"}',
]


@pytest.mark.parametrize("source", HIDDEN)
def test_a_field_named_twice_is_refused_however_the_lengths_are_made_to_fit(source: bytes) -> None:
    with pytest.raises(BadRequest, match="twice"):
        parse_object(source)


def test_hidden_fields_are_found_with_any_padding() -> None:
    for size in range(40):
        for padding in range(40):
            source = b'{"a":1,"b":{"x":0%b,"b":7},"a":"%b"}' % (b" " * padding, b"_" * size)
            with pytest.raises(BadRequest, match="twice"):
                parse_object(source)


def test_a_duplicate_among_many_fields_is_found_quickly() -> None:
    """Quadratic work would hold up every other call for a minute."""
    many = ",".join(f'"k{number}":1' for number in range(30_000))
    began = time.monotonic()
    with pytest.raises(BadRequest, match='"z" twice'):
        parse_object(f'{{{many},"z":1,"z":2}}'.encode())
    assert time.monotonic() - began < 1.5


def test_a_hundred_thousand_fields_are_parsed_and_edited_quickly() -> None:
    many = ",".join(f'"k{number}": {number}' for number in range(100_000))
    began = time.monotonic()
    out = parse_object(f"{{{many}}}".encode()).replaced({"k50000": b'"x"', "k1": None})
    assert time.monotonic() - began < 3.0
    assert json.loads(out)["k50000"] == "x"


def test_long_field_names_are_not_kept() -> None:
    """Names are the client's to choose: a cache of them is memory for anybody to fill."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(100):
            name = f"{number}-" + "k" * 100_000
            source = f'{{"\\u0061":1,"{name}":2}}'.encode()
            parse_object(source).replaced({"a": b"2"})
            parse_object(f'{{"{name}":1}}'.encode()).replaced({}, {name: "b"})
        del name, source
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("nested", ['{"a":{"b":1,"b":2}}', '[[{"a":1,"\\u0061":1}]]', '{"x":[{"y":[{"":1,"":2}]}]}'])
def test_a_nested_duplicate_is_found_by_whoever_asks(nested: str) -> None:
    with pytest.raises(BadRequest, match="twice"):
        refuse_duplicate_keys(nested.encode())


def test_the_same_name_in_different_objects_is_no_duplicate() -> None:
    refuse_duplicate_keys(b'{"a":{"a":[{"a":1},{"a":2}]},"b":{"a":1}}')


def test_a_field_that_is_refused_is_named() -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_object(b'{"temp\\u0065rature":1,"temperature":2}')
    assert refusal.value.param == "temperature"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (b"", "empty"), (b" \n", "empty"), (b"[]", "must be a JSON object"), (b'"x"', "must be a JSON object"), (b"null", "must be a JSON object"),
        (b"{", "not valid JSON"), (b'{"a":}', "line 1 column 6 (byte 5)"), (b'{\n "a" 1}', "line 2 column 6 (byte 7)"), (b'{"a":1}x', "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"), (b'{"a":' + b"[" * 100_000, "nested too deeply"), (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a":"\xff"}', "UTF-8 at byte 6"), (b'{"\xc3\x28":1}', "UTF-8 at byte 2"), (b'\xef\xbb\xbf{"a":1}', "not valid JSON"),
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused_with_the_place(source: bytes, says: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_object(source)
    assert says in refusal.value.message
    assert "\ufffd" not in refusal.value.message


@pytest.mark.parametrize("source", [b"{}", b" {} ", b"{ }", b"\n{\n}\n", b"{\t\r\n }"])
def test_an_empty_object_can_be_added_to(source: bytes) -> None:
    assert json.loads(parse_object(source).replaced({"a": b"1", "b": b"2"})) == {"a": 1, "b": 2}
    assert parse_object(source).replaced({}) == source


def test_a_brace_in_a_text_is_no_end() -> None:
    source = b'{"a":"}","b":"{\\"c\\":1}"}'
    assert json.loads(parse_object(source).replaced({"c": b"1"})) == {"a": "}", "b": '{"c":1}', "c": 1}


def test_numbers_keep_their_spelling() -> None:
    """A decoder would make 1.0 of 1.00 and lose digits of big ones: what is not edited is not decoded."""
    source = b'{"a":1.00,"b":12345678901234567890123,"c":-0,"d":1E5,"model":"x"}'
    assert parse_object(source).replaced({"model": b'"y"'}) == source.replace(b'"x"', b'"y"')
    assert parse_object(source).replaced({"a": None}) == b'{"b":12345678901234567890123,"c":-0,"d":1E5,"model":"x"}'


def test_get_gives_the_raw_value() -> None:
    found = parse_object(b'{"a": [1, 2] }')
    assert found.get("a") == b"[1, 2]"
    assert found.get("b") is None


def test_rewrite_keeps_values_and_order() -> None:
    fields = msgspec.json.decode(b'{"a": [1, 2],"b":"x","c":1.00}', type=dict[str, msgspec.Raw])
    assert rewrite(fields, {"b": None, "d": b"4", "a": b"0"}, {"c": "e"}) == b'{"a":0,"e":1.00,"d":4}'


class _Inner(msgspec.Struct):
    size: int


class _Outer(msgspec.Struct):
    name: str
    inner: list[_Inner]


@pytest.mark.parametrize(
    ("source", "param", "says"),
    [
        ('{"inner":[]}', "name", "is required"),
        ('{"name":1,"inner":[]}', "name", "expected `str`, got `int`"),
        ('{"name":"x","inner":[{"size":1},{"size":"y"}]}', "inner[1].size", "expected `int`"),
        ('{"name":"x","inner":[{}]}', "inner[0]", "missing"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(source: str, param: str, says: str) -> None:
    with pytest.raises(msgspec.ValidationError) as found:
        msgspec.json.decode(source, type=_Outer)
    error = wrong_field(found.value)
    assert error.param == param
    assert says in error.message
    assert param in error.message


def test_a_prefix_places_a_part_in_the_whole() -> None:
    with pytest.raises(msgspec.ValidationError) as found:
        msgspec.json.decode(b'[{"size":"x"}]', type=list[_Inner])
    assert wrong_field(found.value, "messages[2].content").param == "messages[2].content[0].size"


def _documents() -> list[Any]:
    return [{}, {"a": 1}, {"a": {"b": [1, {"c": None}]}, "é": "ü"}]


@pytest.mark.parametrize("document", _documents())
@pytest.mark.parametrize("indent", [None, 2])
def test_nothing_to_edit_changes_nothing(document: Any, indent: int | None) -> None:
    source = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    assert parse_object(source).replaced({}) == source
    assert parse_object(source).source == source
