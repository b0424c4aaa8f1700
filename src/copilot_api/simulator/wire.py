"""JSON and server-sent events as the upstream writes them: compact, keys in the order they are given."""

from typing import Any, TypeGuard

import msgspec

Json = dict[str, Any]
Frame = tuple[bytes, bool]
"""One event as bytes, and whether it carries output (the pace is kept between those that do)."""

DONE: Frame = (b"data: [DONE]\n\n", False)

_NESTING_MARGIN = 200
_encoder = msgspec.json.Encoder()
_sorting_encoder = msgspec.json.Encoder(order="deterministic")


def is_object(value: object) -> TypeGuard[Json]:
    """Whether a decoded value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether a decoded value is a JSON array."""
    return isinstance(value, list)


def is_count(value: object) -> TypeGuard[int]:
    """Whether a decoded value is a whole number; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def objects_in(value: object) -> list[Json]:
    """The objects of an array, and nothing for anything else."""
    return [item for item in value if is_object(item)] if is_array(value) else []


def object_at(body: Json, name: str) -> Json:
    """The object under a name, or an empty one."""
    value = body.get(name)
    return value if is_object(value) else {}


def text_at(body: Json, name: str) -> str:
    """The string under a name, or an empty one."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def encode(value: object) -> bytes:
    """Compact JSON in the order given."""
    return _encoder.encode(value)


def decode(body: bytes) -> Any:
    """Any JSON value; `ValueError` for what is not JSON, or nested too deep to be written again."""
    try:
        value = msgspec.json.decode(body)
        if body.count(b"[") + body.count(b"{") > _NESTING_MARGIN:
            _encoder.encode(_nested(value))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("failed to parse request") from error
    return value


def _nested(value: object) -> object:
    """The value so much deeper that encoding it where the stack is fuller cannot fail either."""
    for _ in range(_NESTING_MARGIN):
        value = [value]
    return value


def data_frame(value: object, *, paced: bool = False) -> Frame:
    """An event with data only, as on chat."""
    return b"data: " + _encoder.encode(value) + b"\n\n", paced


def event_frame(name: str, value: object, *, paced: bool = False) -> Frame:
    """A named event, as on Responses."""
    return b"event: " + name.encode() + b"\ndata: " + _encoder.encode(value) + b"\n\n", paced


def sorted_event_frame(name: str, value: object, *, paced: bool = False) -> Frame:
    """A named event with sorted keys, as on Messages."""
    return b"event: " + name.encode() + b"\ndata: " + _sorting_encoder.encode(value) + b"\n\n", paced
