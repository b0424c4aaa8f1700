"""
The top level of a JSON object, without decoding what stands below it.

A big request is mostly text that the gateway only carries. `JsonObject` knows where each top-level field stands, so
that one field can be replaced and every other byte leaves as it came. The places are proven, not guessed. Compact JSON
is proven by its length: the fields that the decoder saw account for every byte, so there is no space, no escaped key
and no second field of a name anywhere. Any other object is walked field by field, and only a walk that ends exactly at
the closing brace counts. What can be neither is decoded whole and written anew.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from copilot_api.errors import BadRequest

Fields = dict[str, msgspec.Raw]
Span = tuple[int, int, int]
"""Where a field's key begins, where its value begins, and where its value ends."""

_decode_fields = msgspec.json.Decoder(Fields).decode
_SPACE = b" \t\r\n"
_COMMA, _COLON, _CLOSING = b",:}"


class JsonObject:
    """An object's fields as raw JSON, in order, and the source that they came from."""

    __slots__ = ("_spans", "fields", "source")

    def __init__(self, source: bytes, fields: Fields, spans: dict[str, Span] | None) -> None:
        self.source = source
        self.fields = fields
        self._spans = spans

    def get(self, name: str) -> bytes | None:
        """The field's raw JSON, or None."""
        raw = self.fields.get(name)
        return None if raw is None else bytes(raw)

    def replaced(self, edits: Mapping[str, bytes | None], renames: Mapping[str, str] | None = None) -> bytes:
        """
        The object with each field of `edits` set (at the end when it is new; dropped when None), and keys renamed.

        Every byte outside the edited fields stays as it came, where the places are known.
        """
        spans, renames = self._spans, renames or {}
        if spans is None or any([value is None and name in self.fields for name, value in edits.items()]):
            return rewrite(self.fields, edits, renames)
        source, end = self.source, 0
        pieces: list[bytes] = []
        changes: list[tuple[int, int, bytes]] = []
        added = b""
        for name, value in edits.items():
            if name in spans:
                if value is not None:
                    changes.append((*spans[name][1:], value))
            elif value is not None:
                added += b",%b:%b" % (_quoted(name), value)
        for name, new in renames.items():
            if name in spans:
                start = spans[name][0]
                changes.append((start, start + len(_quoted(name)), _quoted(new)))
        for start, stop, value in sorted(changes):
            pieces += [source[end:start], value]
            end = stop
        closing = source.rindex(b"}")
        pieces += [source[end:closing], added if self.fields else added[1:], source[closing:]]
        return b"".join(pieces)


def parse_object(source: bytes) -> JsonObject:
    """
    The top level of `source`.

    Raises `BadRequest` with the position when it is not a JSON object, is nested too deeply, or names a field twice
    (two readers of such a body may each take another value: a way around every check on a field).
    """
    if not source.isascii():
        try:
            source.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"the body is not valid UTF-8 at byte {error.start}") from None
    try:
        fields = _decode_fields(source)
    except msgspec.ValidationError:
        raise BadRequest("the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        raise BadRequest(_malformed(source, error)) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    spans = measure(source, fields)
    if spans is None:
        spans = _walk(source, fields)
        if spans is None:
            refuse_duplicate_keys(source)
    return JsonObject(source, fields, spans)


def rewrite(fields: Fields, edits: Mapping[str, bytes | None], renames: Mapping[str, str] | None = None) -> bytes:
    """The fields as a new object, edited as in `JsonObject.replaced`; the values that stay keep their bytes."""
    values: dict[str, bytes | msgspec.Raw | None] = {**fields}
    if renames:
        values = {renames.get(name, name): value for name, value in values.items()}
    values.update(edits)
    pieces = [b"%b:%b" % (_quoted(name), value) for name, value in values.items() if value is not None]
    return b"{%b}" % b",".join(pieces)


def refuse_duplicate_keys(source: bytes) -> None:
    """Raise `BadRequest` when any object inside `source`, which is known to be valid JSON, names a field twice."""
    try:
        _strict.decode(source.decode())
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


def _check_pairs(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))[:64]  # type: ignore[func-returns-value]
        raise BadRequest(f"the body names the field {json.dumps(twice)} twice", param=twice)


_strict = json.JSONDecoder(object_pairs_hook=_check_pairs)


def wrong_field(error: msgspec.ValidationError, prefix: str = "") -> BadRequest:
    """msgspec's "Expected `str`, got `int` - at `$.messages[0].role`" in the caller's terms."""
    reason, _, path = str(error).partition(" - at `$")
    field = (prefix + path.rstrip("`")).removeprefix(".")
    if not field:
        missing = reason.partition("missing required field `")[2].rstrip("`")
        if missing:
            return BadRequest(f"the field '{missing}' is required", param=missing)
        return BadRequest(f"the body is wrong: {reason}")
    return BadRequest(f"the field '{field}' is wrong: {reason[:1].lower()}{reason[1:]}", param=field)


def measure(source: bytes, fields: Fields) -> dict[str, Span] | None:
    """Where each field stands, if `source` is compact JSON: proven by its length."""
    position = 1
    spans: dict[str, Span] = {}
    for name, value in fields.items():
        begin = position + (len(name) if name.isascii() else len(name.encode())) + 3
        end = begin + len(value)
        spans[name] = (position, begin, end)
        position = end + 1
    return spans if position == len(source) else None


def _walk(source: bytes, fields: Fields) -> dict[str, Span] | None:
    """Where each field stands, or None when the fields in this order do not account for every byte of `source`."""
    spans: dict[str, Span] = {}
    position = _skip_space(source, 0) + 1
    try:
        for name, value in fields.items():
            if spans:
                position = _skip_space(source, position)
                if source[position] != _COMMA:
                    return None
                position += 1
            start = position = _skip_space(source, position)
            key = b'"%b"' % name.encode()
            if not source.startswith(key, position):
                return None
            position = _skip_space(source, position + len(key))
            if source[position] != _COLON:
                return None
            position = _skip_space(source, position + 1)
            end = position + len(value)
            if source[position:end] != bytes(value):
                return None  # lengths can be made to fit over a field that is hidden; contents cannot
            spans[name] = (start, position, end)
            position = end
        position = _skip_space(source, position)
        if source[position] != _CLOSING or source[position + 1 :].strip(_SPACE):
            return None
    except IndexError:
        return None
    return spans


def _skip_space(source: bytes, position: int) -> int:
    while source[position] in _SPACE:
        position += 1
    return position


def _quoted(name: str) -> bytes:
    """`name` as a JSON string; most names need no escape, and then this is all that a key is."""
    return b'"%b"' % name.encode() if name.isidentifier() else json.dumps(name, ensure_ascii=False).encode()


def _malformed(source: bytes, error: msgspec.DecodeError) -> str:
    """What is wrong with the JSON and where, in the words people know from their editors."""
    text = str(error)
    if not source.strip():
        return "the body is empty; a JSON object is expected"
    try:
        json.loads(source)
    except json.JSONDecodeError as found:
        return f"the body is not valid JSON: {found.msg} at line {found.lineno} column {found.colno} (byte {found.pos})"
    except (ValueError, RecursionError):
        pass
    return f"the body is not valid JSON: {text.removeprefix('JSON is malformed: ')}"
