"""JSON and events are compact, in the order given or sorted."""

import pytest

from copilot_api.simulator.wire import data_frame, decode, event_frame, is_count, objects_in, sorted_event_frame


def test_frames() -> None:
    value = {"b": 1.0, "a": "ä"}
    assert data_frame(value) == ('data: {"b":1.0,"a":"ä"}\n\n'.encode(), False)
    assert event_frame("x", value, paced=True) == ('event: x\ndata: {"b":1.0,"a":"ä"}\n\n'.encode(), True)
    assert sorted_event_frame("x", value)[0] == 'event: x\ndata: {"a":"ä","b":1.0}\n\n'.encode()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b"[" * 10_000, b"[" * 900 + b"]" * 900])
def test_what_cannot_be_read_or_written_again_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="failed to parse request"):
        decode(body)


def test_true_is_no_number_and_only_objects_are_objects() -> None:
    assert [is_count(value) for value in (1, True, 1.0, "1")] == [True, False, False, False]
    assert objects_in([1, {}, None, {"a": 1}]) == [{}, {"a": 1}]
    assert objects_in("x") == []
