"""
What a streamed chat answer must look like so that every client can read it, as a checker.

It knows nothing of how the gateway makes a stream: it decodes the bytes in its own simple way and checks one rule after
the other. `check` gives the chunks back for further questions; `accumulate` is what OpenAI's own package makes of them.
"""

import json
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
Chunk = dict[str, Any]


def events(stream: bytes) -> list[str]:
    """The data of each event. Only the form that the gateway writes: one `data:` line an event, LF, nothing else."""
    assert b"\r" not in stream
    assert stream.endswith(b"\n\n"), stream[-100:]
    found = []
    for frame in stream[:-2].split(b"\n\n"):
        assert frame.startswith(b"data: "), frame
        assert b"\n" not in frame, frame
        found.append(frame[6:].decode())
    return found


def check_chunks(chunks: list[Chunk], *, model: str) -> None:
    """The rules that hold at any moment of a stream, whole or cut."""
    roles = 0
    calls: list[int] = []
    finishes = 0
    for chunk in chunks:
        assert chunk["object"] == "chat.completion.chunk", chunk
        assert chunk["model"] == model, chunk
        assert isinstance(chunk["id"], str), chunk
        assert chunk["id"], chunk
        assert (chunk["id"], chunk["created"]) == (chunks[0]["id"], chunks[0]["created"]), "id and created change"
        assert type(chunk["created"]) is int, chunk
        assert chunk["created"] > 0, chunk
        if not chunk["choices"]:
            assert chunk is chunks[-1], "a chunk without choices that is not the last"
            continue
        assert len(chunk["choices"]) == 1, "clients look at the first choice only"
        [choice] = chunk["choices"]
        assert choice["index"] == 0, choice
        assert not finishes, f"something follows the finish: {choice}"
        delta = choice["delta"]
        if roles == 0:
            assert delta.get("role") == "assistant", f"the first delta has no role: {delta}"
        else:
            assert "role" not in delta, f"the role is repeated: {delta}"
        roles += 1
        for call in delta.get("tool_calls", []):
            check_call(call, calls)
        if choice.get("finish_reason") is not None:
            assert choice["finish_reason"] in FINISH_REASONS, choice
            assert not any(delta.values()), f"the finish carries content: {delta}"
            finishes += 1


def check_call(call: dict[str, Any], calls: list[int]) -> None:
    """One piece of a tool call: id, type and name on the first one only, calls numbered from 0."""
    index, function = call["index"], call["function"]
    assert type(index) is int
    assert isinstance(function["arguments"], str), call
    if index in calls:
        assert call.keys() == {"index", "function"}, f"repeated on a later piece: {call}"
        assert function.keys() == {"arguments"}, f"repeated on a later piece: {call}"
        return
    assert index == len(calls), f"calls are numbered from 0: {call}"
    calls.append(index)
    assert call["type"] == "function", call
    assert isinstance(call["id"], str), call
    assert call["id"], call
    assert isinstance(function["name"], str), call
    assert function["name"], call


def check(stream: bytes, *, model: str, usage: bool) -> list[Chunk]:
    """The chunks of a whole `stream`, all rules kept; `usage` says whether the usage chunk is due."""
    found = events(stream)
    assert found[-1] == "[DONE]"
    assert "[DONE]" not in found[:-1]
    chunks = [json.loads(data) for data in found[:-1]]
    assert chunks, "a stream of nothing"
    check_chunks(chunks, model=model)
    with_choices = [chunk for chunk in chunks if chunk["choices"]]
    assert with_choices[-1]["choices"][0].get("finish_reason") is not None, "no finish"
    told = [chunk for chunk in chunks if chunk.get("usage") is not None]
    assert len(told) == (1 if usage else 0), f"usage on {len(told)} chunks"
    if usage:
        assert told == [chunks[-1]], "the usage chunk is not the last"
        assert chunks[-1]["choices"] == [], "usage on a chunk with choices"
    else:
        assert all(chunk["choices"] for chunk in chunks), "a chunk without choices that nobody asked for"
    return chunks


def accumulate(chunks: list[Chunk]) -> dict[str, Any]:
    """The whole answer as OpenAI's package puts it together."""
    state = ChatCompletionStreamState()
    for chunk in chunks:
        for _ in state.handle_chunk(ChatCompletionChunk.model_validate(chunk)):
            pass
    return state.current_completion_snapshot.to_dict()


def essence(chunks: list[Chunk]) -> dict[str, Any]:
    """What a client is left with: texts, calls, finish, usage; by plain concatenation."""
    texts: dict[str, str] = {}
    calls: dict[int, dict[str, str]] = {}
    finish = usage = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish = choice.get("finish_reason") or finish
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    for call in value:
                        known = calls.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                        known["id"] += call.get("id", "")
                        known["name"] += call["function"].get("name", "")
                        known["arguments"] += call["function"]["arguments"]
                elif isinstance(value, str) and value:
                    texts[name] = texts.get(name, "") + value
    return {"texts": texts, "calls": [calls[index] for index in sorted(calls)], "finish": finish, "usage": usage}
