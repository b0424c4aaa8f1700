"""
Streams as Copilot sends them, made up: an answer is drawn first, then the way in which it is sent.

The ways are those of the wire reference: Azure's preamble and filter results, Claude's roles and ids repeated on every
delta, its answers split over choices, usage in four places, a missing `object`, `created` or `[DONE]`, other line ends.
"""

import itertools
import json
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from copilot_api.protocols.chat.stream import ChatStream

MODEL = "the-alias"
NOW = 1_780_000_000
UPSTREAM_ID = "chatcmpl-upstream"
CREATED = 1_770_000_000

# Quotes, escapes, field names in quotes, line separators, and characters of two, three and four bytes.
TEXTS = st.lists(
    st.sampled_from([*"ab \n\t\"\\{}[]:,é€😀\u2028\u0085\x00\x7f", '"role"', '"usage":', "[DONE]", "data: "]), min_size=1, max_size=12
).map("".join)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One tool call, its arguments in the pieces in which they arrive."""

    id: str
    name: str
    pieces: list[str]

    @property
    def arguments(self) -> str:
        text = "".join(self.pieces)
        return text if text.strip() else text + "{}"  # blank arguments mean none, and JSON has a word for that


@dataclass(frozen=True)
class Answer:
    """What the model said, before anybody chops it up."""

    texts: list[str]
    reasoning: list[str]
    calls: list[Call]
    finish: str
    usage: dict[str, Any] | None
    nano_aiu: int | None

    @property
    def essence(self) -> dict[str, Any]:
        """What a client must be left with."""
        texts = {}
        if self.reasoning:
            texts["reasoning_text"] = "".join(self.reasoning)
        if self.texts:
            texts["content"] = "".join(self.texts)
        texts["role"] = "assistant"
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in self.calls]
        return {"texts": texts, "calls": calls, "finish": self.finish, "usage": self.usage}


@dataclass(frozen=True)
class Manner:
    """How an upstream sends an answer."""

    has_preamble: bool = False
    has_filters: bool = False
    has_object: bool = False
    has_created: bool = True
    role: str = "first"
    """`first`, `every` delta, or `never`."""
    repeats_call_id: bool = False
    repeats_call_type: bool = False
    repeats_call_name: bool = False
    is_split: bool = False
    """Text in choice 0, calls in choices 1, 2, …, each with index 0 inside."""
    null_content: bool = True
    """`content: null` beside tool calls and on the finish."""
    usage_at: str = "own"
    """`own` chunk, on the `finish`, in an own chunk with copilot_usage in the `next`, or `null` on all others."""
    finishes: str = "each"
    """Of split choices: `each` has a finish, or the `last` one."""
    says_stop: bool = False
    """`stop` although there are tool calls."""
    has_done: bool = True
    separators: tuple[str, str] = (",", ":")
    is_ascii: bool = False
    line_end: str = "\n"
    data_prefix: str = "data: "
    has_comments: bool = False
    suffix: dict[str, Any] = field(default_factory=dict)
    """What stands after `model` on every chunk."""


def _usage() -> st.SearchStrategy[dict[str, Any]]:
    counts = st.integers(0, 10_000)
    return st.builds(
        lambda prompt, completion, cached: {
            "completion_tokens": completion,
            "prompt_tokens": prompt,
            "prompt_tokens_details": {"cached_tokens": min(cached, prompt)},
            "total_tokens": prompt + completion,
        },
        counts,
        counts,
        counts,
    )


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Any answer: text, calls, both, reasoning before them, or next to nothing."""
    texts = draw(st.lists(TEXTS, max_size=5))
    reasoning = draw(st.lists(TEXTS, max_size=2))
    calls = [
        Call(f"call_{number}_{draw(st.integers(0, 9))}", draw(st.sampled_from(["get", "put", "Bash"])), ["{", *pieces])
        for number, pieces in enumerate(draw(st.lists(st.lists(TEXTS, min_size=1, max_size=4), max_size=3)))
    ]
    finish = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    usage = draw(st.none() | _usage())
    return Answer(texts, reasoning, calls, finish, usage, draw(st.none() | st.integers(0, 10**12)))


def sensible(manner: Manner) -> Manner:
    """Without what cannot be told apart: an open choice from a cut one, a name said again from the next call's name."""
    if manner.is_split and manner.finishes == "last":
        manner = replace(manner, has_done=True)
    return replace(manner, repeats_call_id=True) if manner.repeats_call_name else manner


manners = st.builds(
    Manner,
    has_preamble=st.booleans(),
    has_filters=st.booleans(),
    has_object=st.booleans(),
    has_created=st.booleans(),
    role=st.sampled_from(["first", "first", "every", "never"]),
    repeats_call_id=st.booleans(),
    repeats_call_type=st.booleans(),
    repeats_call_name=st.booleans(),
    is_split=st.booleans(),
    null_content=st.booleans(),
    usage_at=st.sampled_from(["own", "finish", "next", "null"]),
    finishes=st.sampled_from(["last", "each"]),
    says_stop=st.booleans(),
    has_done=st.booleans(),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
    is_ascii=st.booleans(),
    line_end=st.sampled_from(["\n", "\n", "\r\n", "\r"]),
    data_prefix=st.sampled_from(["data: ", "data: ", "data:"]),
    has_comments=st.booleans(),
    suffix=st.sampled_from([{}, {}, {"system_fingerprint": "fp_1"}, {"service_tier": None}, {"x": {"y": [1]}}]),
).map(sensible)


def chunks_of(answer: Answer, manner: Manner) -> list[dict[str, Any]]:
    """The chunks in which `answer` comes."""
    chunks: list[dict[str, Any]] = []
    if manner.has_preamble:
        chunks.append({"choices": [], "created": 0, "id": "", "prompt_filter_results": [{"prompt_index": 0}]})
    role_said: set[int] = set()

    def add(index: int, delta: dict[str, Any], **more: Any) -> None:
        if manner.role == "every" or (manner.role == "first" and index not in role_said):
            delta = (
                {"content": None, **delta, "role": "assistant"}
                if manner.null_content
                else {**delta, "role": "assistant"}
            )
        role_said.add(index)
        choice: dict[str, Any] = {"index": index}
        if manner.has_filters:
            choice["content_filter_results"] = {"hate": {"filtered": False, "severity": "safe"}}
        chunks.append({"choices": [{**choice, "delta": delta, **more}]})

    if not manner.is_split:
        add(0, {"content": ""})
    for text in answer.reasoning:
        add(0, {"reasoning_text": text})
    for text in answer.texts:
        add(0, {"content": text})
    indexes = {0}
    for number, call in enumerate(answer.calls):
        index = number + 1 if manner.is_split else 0
        if manner.is_split and manner.finishes == "each" and (number or answer.texts or answer.reasoning):
            add(index - 1, {"content": None} if manner.null_content else {}, finish_reason=_reason(answer, manner))
        indexes.add(index)
        _add_call(add, index, 0 if manner.is_split else number, call, manner)
    add(max(indexes), {"content": None} if manner.null_content else {}, finish_reason=_reason(answer, manner))
    _add_usage(chunks, answer, manner)
    return [_wrapped(chunk, manner) for chunk in chunks]


def _reason(answer: Answer, manner: Manner) -> str:
    return "stop" if answer.calls and manner.says_stop else answer.finish


def _add_call(add: Any, index: int, place: int, call: Call, manner: Manner) -> None:
    content: dict[str, Any] = {"content": None} if manner.null_content else {}
    for number, piece in enumerate(["", *call.pieces]):
        function: dict[str, Any] = {"arguments": piece}
        part: dict[str, Any] = {"index": place}
        if number == 0 or manner.repeats_call_id:
            part["id"] = call.id
        if number == 0 or manner.repeats_call_type:
            part["type"] = "function"
        if number == 0 or manner.repeats_call_name:
            function["name"] = call.name
        if number == 0 and manner.repeats_call_type:
            del function["arguments"]  # as Claude's first piece comes
        add(index, {**content, "tool_calls": [{"function": function, **part}]})


def _add_usage(chunks: list[dict[str, Any]], answer: Answer, manner: Manner) -> None:
    usage = {} if answer.usage is None else {"usage": answer.usage}
    bill: dict[str, Any] = {}
    if answer.nano_aiu is not None:
        bill = {"copilot_usage": {"token_details": [], "total_nano_aiu": answer.nano_aiu}}
    if manner.usage_at == "finish":
        chunks[-1].update(usage, **bill)
    elif manner.usage_at == "next":
        chunks += [{"choices": [], **part} for part in (usage, bill) if part]
    elif usage or bill:
        if manner.usage_at == "null":
            for chunk in chunks:
                chunk["usage"] = None
        chunks.append({"choices": [], **usage, **bill})


def _wrapped(chunk: dict[str, Any], manner: Manner) -> dict[str, Any]:
    """Choices first and the wrapping behind them in the alphabet's order, as Copilot writes it."""
    if "created" in chunk:
        return chunk  # the preamble
    wrapping: dict[str, Any] = {"choices": chunk["choices"]}
    if manner.has_created:
        wrapping["created"] = CREATED
    wrapping |= {"id": UPSTREAM_ID, "model": "gpt-dated"}
    if manner.has_object:
        wrapping["object"] = "chat.completion.chunk"
    return {**wrapping, **manner.suffix, **{name: value for name, value in chunk.items() if name != "choices"}}


def encode(chunks: list[dict[str, Any]], manner: Manner) -> bytes:
    """The bytes of a stream of `chunks`."""
    end = manner.line_end
    frames = [json.dumps(chunk, separators=manner.separators, ensure_ascii=manner.is_ascii) for chunk in chunks]
    if manner.has_done:
        frames.append("[DONE]")
    lines = [f"{manner.data_prefix}{frame}{end}{end}" for frame in frames]
    if manner.has_comments:
        lines = [line for frame in lines for line in (f": ping{end}{end}", frame)]
    return "".join(lines).encode()


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at `cuts`."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def relay(data: list[bytes], *, wants_usage: bool, choices: int = 1) -> tuple[bytes, ChatStream]:
    """What the client gets for the upstream's `data`, and the stream that made it."""
    stream = ChatStream(model=MODEL, wants_usage=wants_usage, choices=choices, now=NOW)
    out = []
    for piece in data:
        out.append(stream.feed(piece))
        if stream.failure is not None:
            raise stream.failure
    return b"".join([*out, stream.finish()]), stream
