from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.base import Usage
from copilot_api.protocols.conversation import StopReason
from copilot_api.protocols.messages.upstream_wire import UsageMeter, explanation_of, has_tool_use, read_charge, stop_of


def metered(*reports: object) -> Usage | None:
    meter = UsageMeter()
    for report in reports:
        meter.note(report)
    return meter.usage


def test_nothing_told_is_nothing_known() -> None:
    assert metered({}, None) is None


def test_pitfall_061_cached_input_counts_as_input() -> None:
    usage = metered(
        {
            "input_tokens": 200, "cache_read_input_tokens": 800, "cache_creation_input_tokens": 100,
            "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4},
        }
    )  # fmt: skip
    assert usage == Usage(
        input_tokens=1100, output_tokens=9, cache_read_tokens=800, cache_write_tokens=100, reasoning_tokens=4
    )


def test_pitfall_119_the_last_report_replaces_the_first() -> None:
    usage = metered({"input_tokens": 8834, "output_tokens": 1}, {"input_tokens": 18, "cache_read_input_tokens": 8831})
    assert usage is not None
    assert usage.input_tokens == 8849
    assert usage.output_tokens == 1


def test_what_a_report_leaves_out_stays() -> None:
    assert metered({"input_tokens": 5}, {"output_tokens": 3, "input_tokens": None}) == Usage(
        input_tokens=5, output_tokens=3
    )


def test_written_tokens_are_also_found_by_their_lifetimes() -> None:
    usage = metered(
        {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}}
    )
    assert usage == Usage(input_tokens=6, cache_write_tokens=5)


@pytest.mark.parametrize("count", [-1, True, "3", 10**30, [], None, float("nan")])
def test_what_is_no_count_is_not_counted(count: object) -> None:
    assert metered({"input_tokens": count}) is None


def test_a_charge_that_cannot_be_read_is_none() -> None:
    assert read_charge({"total_nano_aiu": 7.0}) == 7
    assert read_charge({"total_nano_aiu": "x"}) is None
    assert read_charge([]) is None
    assert read_charge(None) is None


@pytest.mark.parametrize(
    ("reason", "has_calls", "stop"),
    [
        ("end_turn", False, StopReason.END),
        ("end_turn", True, StopReason.TOOL_CALLS),
        ("", True, StopReason.TOOL_CALLS),
        ("max_tokens", True, StopReason.LENGTH),
        ("refusal", False, StopReason.FILTERED),
        ("pause_turn", False, StopReason.PAUSED),
        ("model_context_window_exceeded", False, StopReason.CONTEXT_FULL),
        ("something new", False, StopReason.END),
    ],
)
def test_why_an_answer_ended(reason: str, has_calls: bool, stop: StopReason) -> None:
    assert stop_of(reason, has_calls=has_calls) is stop


def test_what_stands_in_blocks_and_details() -> None:
    assert has_tool_use([{"type": "text"}, {"type": "tool_use"}])
    assert not has_tool_use([{"type": "server_tool_use"}, 3])
    assert explanation_of({"explanation": "no"}) == "no"
    assert explanation_of(None) == ""


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["input_tokens", "cache_creation", "total_nano_aiu"]), inner),
    max_leaves=6,
)  # fmt: skip


@settings(derandomize=True, deadline=None, database=None)
@given(JSON)
def test_any_report_is_read(value: Any) -> None:
    usage = metered(value)
    assert usage is None or usage.input_tokens >= 0
    read_charge(value)
