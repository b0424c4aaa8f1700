"""What `copilot-api traces` shows of captures. They may hold anything, so nothing of them reaches a terminal raw."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from copilot_api.capture.answers import GEMINI, read_said
from copilot_api.capture.models import Leg, Trace, TraceSummary
from copilot_api.cli.output import printable
from copilot_api.errors import GatewayError
from copilot_api.gateway.surfaces import find_surface
from copilot_api.protocols.base import Envelope
from copilot_api.protocols.conversation import Message, ModelRequest, Part, Reasoning, Text, ToolCall, ToolResult
from copilot_api.usage.exports import Cell

COLUMNS = ("at", "request", "key", "client", "model", "status", "ms", "redacted", "withheld")
_BAR = 40
_INDENT = "  "
_NARROW = 20
"""How many characters of a client's or model's name a line of the tail has."""


def render_row(summary: TraceSummary) -> list[Cell]:
    """A trace as a row of a table."""
    return [
        _clock_time(summary.at, "seconds"),
        summary.request_id,
        summary.key_id,
        summary.client,
        summary.model,
        summary.status,
        round(summary.duration_ms),
        summary.redactions,
        summary.withheld,
    ]


def render_line(summary: TraceSummary) -> str:
    """A trace as a line of the tail."""
    time = _clock_time(summary.at, "milliseconds").partition(" ")[2]
    cause = "" if summary.cause in {"", "ok"} else f" {summary.cause}"
    parts = (
        time,
        summary.request_id,
        f"{summary.status}{cause}",
        summary.model[:_NARROW] or "-",
        f"{summary.duration_ms:.0f} ms",
        summary.client[:_NARROW] or "-",
        summary.key_id or "-",
    )
    return printable(_INDENT.join(parts))


def _clock_time(at: str, precision: str) -> str:
    try:
        return datetime.fromisoformat(at).isoformat(" ", precision).removesuffix("+00:00")
    except ValueError:
        return at


def render_trace(trace: Trace) -> list[str]:
    """A whole trace for people: what it is, when what happened, its four legs, and what was said."""
    lines = [
        *_render_head(trace),
        "",
        *_render_waterfall(trace),
        *(line for name, leg in _legs(trace) for line in ("", *_render_leg(name, leg))),
        "",
        *_render_conversation(trace),
    ]
    return [printable(line) for line in lines]


def _render_head(trace: Trace) -> list[str]:
    fields = {
        "request": trace.request_id,
        "at": trace.at,
        "key": trace.key_id or "-",
        "captured": {"key": "for its key", "request": "for this request", "replay": f"replay of {trace.replay_of}"}[
            trace.reason
        ],
        "client": trace.client or "-",
        "endpoint": f"{trace.endpoint}{' (stream)' if trace.stream else ''}",
        "model": trace.model
        if trace.upstream_model in {"", trace.model}
        else f"{trace.model} → {trace.upstream_model}",
        "status": f"{trace.status} {trace.cause}".rstrip(),
        "duration": f"{trace.duration_ms:.1f} ms",
        "redacted": ", ".join(f"{rule} {count}x" for rule, count in sorted(trace.redactions.items())) or "nothing",
        "withheld": f"{trace.withheld} bodies or headers that may still hold a secret" if trace.withheld else "nothing",
    }
    return [f"{name:<10}{_INDENT}{value}" for name, value in fields.items()]


def _legs(trace: Trace) -> list[tuple[str, Leg]]:
    """Every message, in the order in which they passed."""
    legs: list[tuple[str, Leg | None]] = [("client request", trace.client_request)]
    for number, attempt in enumerate(trace.earlier_attempts, 1):
        legs += [(f"attempt {number} request", attempt.request), (f"attempt {number} answer", attempt.answer)]
    legs += [
        ("upstream request", trace.upstream_request),
        ("upstream answer", trace.upstream_answer),
        ("client answer", trace.client_answer),
    ]
    return [(name, leg) for name, leg in legs if leg is not None]


def _render_waterfall(trace: Trace) -> list[str]:
    legs = _legs(trace)
    ends = [leg.ended_ms if leg.ended_ms is not None else trace.duration_ms for _, leg in legs]
    total = max(trace.duration_ms, *ends, 0.001)
    width = max(len(name) for name, _ in legs)
    lines: list[str] = []
    for (name, leg), end in zip(legs, ends, strict=True):
        first = min(_BAR - 1, int(_BAR * leg.started_ms / total))
        length = max(1, round(_BAR * end / total) - first)
        bar = (" " * first + "█" * length)[:_BAR]
        times = f"{leg.started_ms:9.1f} to {end:.1f} ms"
        pieces = f", {len(leg.timeline)} pieces" if leg.timeline else ""
        lines.append(f"{name:<{width}}{_INDENT}{bar:<{_BAR}}{_INDENT}{times}{pieces}")
    return lines


def _render_leg(name: str, leg: Leg) -> list[str]:
    what = f"{leg.method} {leg.target}" if leg.method else f"status {leg.status}"
    lines = [f"── {name}: {what}, {leg.bytes:,} bytes"]
    lines += [f"{_INDENT}{header}: {value}" for header, value in leg.headers]
    if leg.withheld:
        lines.append(f"{_INDENT}(body withheld: {leg.withheld})")
    if leg.cut is not None:
        lines.append(f"{_INDENT}(the last {leg.cut.bytes:,} bytes are not kept)")
    if leg.error:
        lines.append(f"{_INDENT}(ended early: {leg.error})")
    return lines


# What was said -----------------------------------------------------------------------------------------------------


def _render_conversation(trace: Trace) -> list[str]:
    lines = ["── conversation"]
    request = _read_request(trace)
    if request is None:
        lines += [*_said("request", _laid_out(trace.client_request.body))]
    else:
        for text in request.system:
            lines += _said("system", text)
        for message in request.messages:
            lines += _render_message(message)
        if request.tools:
            lines += ["", f"(tools: {', '.join(tool.name for tool in request.tools)})"]
    return [*lines, *_render_answer(trace)]


def _read_request(trace: Trace) -> ModelRequest | None:
    """The conversation that was sent; None where it cannot be read as one."""
    surface, leg = find_surface(trace.endpoint), trace.client_request
    if surface is None or surface.client is None or leg.withheld or leg.cut is not None:
        return None
    envelope = Envelope(model=trace.model, is_streamed=trace.stream) if trace.endpoint == GEMINI else Envelope()
    try:
        return surface.client.read_conversation(surface.parse_request(leg.body.encode(), envelope))
    except (GatewayError, ValueError, RecursionError):
        return None


def _render_message(message: Message) -> list[str]:
    return [line for part in message.parts for line in _render_part(message.role, part)]


def _render_part(role: str, part: Part) -> list[str]:
    match part:
        case ToolCall():
            return _said(f"{role} calls {part.name}", _laid_out(part.arguments))
        case ToolResult():
            heading = "tool failed" if part.is_error else "tool says"
            return [line for inner in part.parts for line in _render_part(heading, inner)] or _said(heading, "")
        case Reasoning():
            return _said(f"{role} thinks", part.text) if part.text else []
        case Text():
            return _said(role, part.text)
        case _:
            text = getattr(part, "text", "") or getattr(part, "url", "")
            return _said(f"{role} ({type(part).__name__.lower()})", text)


def _render_answer(trace: Trace) -> list[str]:
    said = read_said(trace.endpoint, trace.client_answer)
    lines = _said("answer thinks", said.reasoning) if said.reasoning else []
    lines += _said("answer", _laid_out(said.text)) if said.text else []
    for call in said.calls:
        lines += _said(f"answer calls {call.name}", _laid_out(call.arguments))
    usage = said.usage
    ends = [said.finish and f"ended: {said.finish}", said.error]
    ends.append(f"tokens: {usage.input_tokens:,} in, {usage.output_tokens:,} out" if usage else "")
    return [*lines, "", f"({'; '.join(filter(None, ends))})"]


def _said(who: str, text: str) -> list[str]:
    return ["", f"{who}:", *_indented(re.split(r"\r\n|\r|\n", text))]


def _indented(lines: Iterable[str]) -> Sequence[str]:
    return [f"{_INDENT}{line}".rstrip() for line in lines]


def _laid_out(text: str) -> str:
    """JSON with a line for each member; anything else as it is."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return msgspec.json.format(text)
    except (msgspec.DecodeError, RecursionError):
        return text
