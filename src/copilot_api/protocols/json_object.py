"""
The top level of a JSON object, without decoding what stands below it.

A big request is mostly text that the gateway only carries. `JsonObject` finds where each top-level field stands, so
that one field can be replaced and every other byte leaves as it came. The spans are proven, not guessed: the fields
that the decoder saw are walked over the source one by one, and only a walk that ends exactly at the closing brace
counts. A body that cannot be walked (an escaped key, say) is decoded whole and written anew.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from copilot_api.errors import BadRequest

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_SPACE = b" \t\r\n"


class JsonObject:
    """An object's fields as raw JSON, in order, and the source that they came from."""

    __slots__ = ("fields", "source", "spans")

    def __init__(
        self, source: bytes, fields: dict[str, msgspec.Raw], spans: dict[str, tuple[int, int, int]] | None
    ) -> None:
        self.source = source
        self.fields = fields
        self.spans = spans
        """
        For each field where its key begins, where its value begins, and where its value ends; None when not walkable.
        """

    def get(self, name: str) -> bytes | None:
        """The field's raw JSON, or None."""
        raw = self.fields.get(name)
        return None if raw is None else bytes(raw)

    def replaced(self, edits: Mapping[str, bytes | None], renames: Mapping[str, str] | None = None) -> bytes:
        """
        The object with each field of `edits` set (added at the end when it is new; dropped when None), and keys
        renamed. Every byte outside the edited fields stays as it came, where the source could be walked.
        """
        renames = renames or {}
        if self.spans is None or any(value is None and name in self.fields for name, value in edits.items()):
            return self._rewritten(edits, renames)
        source, pieces, end = self.source, [], 0
        changes: list[tuple[int, int, bytes]] = []
        added = b""
        for name, value in edits.items():
            if name in self.spans:
                if value is not None:
                    changes.append((*self.spans[name][1:], value))
            elif value is not None:
                added += b",%b:%b" % (json.dumps(name).encode(), value)
        for name, new in renames.items():
            if name in self.spans:
                start = self.spans[name][0]
                changes.append((start, start + len(name) + 2, json.dumps(new).encode()))
        for start, stop, value in sorted(changes):
            pieces += [source[end:start], value]
            end = stop
        closing = source.rindex(b"}")
        pieces.append(source[end:closing])
        pieces.append(added if self.fields else added[1:])
        pieces.append(source[closing:])
        return b"".join(pieces)

    def _rewritten(self, edits: Mapping[str, bytes | None], renames: Mapping[str, str]) -> bytes:
        fields = {renames.get(name, name): bytes(value) for name, value in self.fields.items()}
        for name, value in edits.items():
            if value is None:
                fields.pop(name, None)
            else:
                fields[name] = value
        return b"{%b}" % b",".join(b"%b:%b" % (json.dumps(name).encode(), value) for name, value in fields.items())


def parse_object(source: bytes) -> JsonObject:
    """
    The top level of `source`. Raises `BadRequest` with the position when it is not a JSON object, is nested too
    deeply, or names a field twice (two readers of such a body may each take another value: a way around every check
    on a field).
    """
    if not source.isascii():
        try:
            source.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"the body is not valid UTF-8 at byte {error.start}") from None
    try:
        raws = _decode_fields(source)
    except msgspec.ValidationError:
        raise BadRequest("the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        raise BadRequest(_malformed(source, error)) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    spans = _walk(source, raws)
    if spans is None:
        refuse_duplicate_keys(source)
    return JsonObject(source, raws, spans)


def refuse_duplicate_keys(source: bytes) -> None:
    """Raise `BadRequest` when any object inside `source`, which is known to be valid JSON, names a field twice."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                raise BadRequest(f"the body names the field {json.dumps(name[:64])} twice", param=name[:64])
            names.add(name)

    try:
        json.loads(source, object_pairs_hook=check)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


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


def _walk(source: bytes, fields: dict[str, msgspec.Raw]) -> dict[str, tuple[int, int, int]] | None:
    """Where each field stands, or None when the fields in this order do not account for every byte of `source`."""
    spans: dict[str, tuple[int, int, int]] = {}
    position = _skip_space(source, 0) + 1
    try:
        for name, value in fields.items():
            if spans:
                position = _skip_space(source, position)
                if source[position] != 0x2C:  # a comma
                    return None
                position += 1
            start = position = _skip_space(source, position)
            key = b'"%b"' % name.encode()
            if not source.startswith(key, position):
                return None
            position = _skip_space(source, position + len(key))
            if source[position] != 0x3A:  # a colon
                return None
            position = _skip_space(source, position + 1)
            end = position + memoryview(value).nbytes
            spans[name] = (start, position, end)
            position = end
        position = _skip_space(source, position)
        if source[position] != 0x7D or source[position + 1 :].strip(_SPACE):  # a closing brace, and nothing after it
            return None
    except IndexError:
        return None
    return spans


def _skip_space(source: bytes, position: int) -> int:
    while source[position] in _SPACE:
        position += 1
    return position


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
