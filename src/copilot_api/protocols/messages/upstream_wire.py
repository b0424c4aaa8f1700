"""
What an upstream's message tells beside its content: what it consumed, and why it ended.

Usage comes twice in a stream. The first report, with `message_start`, is an estimate; the last, with `message_delta`,
is cumulative. So a later count replaces an earlier one, and nothing is ever added up (pitfall 119).
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from copilot_api.protocols.base import Usage
from copilot_api.protocols.conversation import StopReason
from copilot_api.protocols.copilot_usage import CopilotUsage
from copilot_api.protocols.untyped import object_of, text_of

_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_MOST = 2**53

_STOP_REASONS = {
    "end_turn": StopReason.END,
    "compaction": StopReason.END,
    "tool_use": StopReason.TOOL_CALLS,
    "max_tokens": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.FILTERED,
    "model_context_window_exceeded": StopReason.CONTEXT_FULL,
    "pause_turn": StopReason.PAUSED,
}


class UsageMeter:
    """The usage of one answer, as far as it has been told."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, usage: object) -> None:
        """Take a report in. What it does not say, or says with something that is no count, stays as it was."""
        fields = object_of(usage)
        for name in _COUNTS:
            self._set(name, fields.get(name))
        self._set("thinking_tokens", object_of(fields.get("output_tokens_details")).get("thinking_tokens"))
        written = object_of(fields.get("cache_creation"))
        if written and fields.get("cache_creation_input_tokens") is None:
            self._set("cache_creation_input_tokens", sum(map(_count, written.values())))

    def _set(self, name: str, value: object) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST:
            self._counts[name] = int(value)

    @property
    def output_tokens(self) -> int:
        """The output so far; 0 when nobody said."""
        return self._counts.get("output_tokens", 0)

    @property
    def usage(self) -> Usage | None:
        """All of it in the gateway's terms; None when nothing was told."""
        counts = self._counts
        if not counts:
            return None
        read, written = counts.get("cache_read_input_tokens", 0), counts.get("cache_creation_input_tokens", 0)
        return Usage(
            input_tokens=counts.get("input_tokens", 0) + read + written,
            output_tokens=counts.get("output_tokens", 0),
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=counts.get("thinking_tokens", 0),
        )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else 0


def read_charge(value: object) -> int | None:
    """The charge in a `copilot_usage`; None when it cannot be read."""
    if value is None:
        return None
    try:
        return msgspec.convert(value, CopilotUsage, strict=False).nano_aiu
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None


def stop_of(reason: str, *, has_calls: bool) -> StopReason:
    """The neutral reason. An end that leaves tools to be called is one for tools, whatever the upstream calls it."""
    stop = _STOP_REASONS.get(reason, StopReason.END)
    return StopReason.TOOL_CALLS if has_calls and stop is StopReason.END else stop


def explanation_of(details: object) -> str:
    """A refusal's own words, if it has any (`stop_details`)."""
    return text_of(object_of(details).get("explanation"))


def has_tool_use(blocks: Iterable[Any]) -> bool:
    """Whether any content block calls a tool of the client's."""
    return any(object_of(block).get("type") == "tool_use" for block in blocks)
