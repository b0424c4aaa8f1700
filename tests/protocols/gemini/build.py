"""Requests and answers for tests, in few words."""

import json
from typing import Any

from copilot_api.protocols.base import AnswerHead, Envelope, Usage
from copilot_api.protocols.conversation import (
    Answer,
    AnswerPart,
    Carrier,
    ModelRequest,
    Reasoning,
    StopReason,
    Text,
    ToolCall,
    events_of,
)
from copilot_api.protocols.gemini.request import GeminiRequest, parse_request, read_conversation
from copilot_api.protocols.gemini.writer import GeminiWriter

HEAD = AnswerHead(model="gpt-4.1", request_id="req_0a1", now=1_780_000_000, input_estimate=7)
SAID = [{"role": "user", "parts": [{"text": "Hello"}]}]
CARRIER = Carrier(kind="rs", data="encrypted", id="rs_1", model="gpt-5")
USAGE = Usage(input_tokens=10, output_tokens=9, cache_read_tokens=4, reasoning_tokens=3)
GOLDEN = Answer(
    parts=(Reasoning("Hm", CARRIER), Text("Hi"), ToolCall(id="call_1", name="f", arguments='{"a":1}')),
    stop=StopReason.TOOL_CALLS,
    usage=USAGE,
)


def parse(body: Any, *, is_streamed: bool = False, is_array: bool = False, model: str = "gpt-4.1") -> GeminiRequest:
    """The body as a request to a model; text and bytes as they are."""
    source = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_request(source, Envelope(model=model, is_streamed=is_streamed, is_array=is_array))


def request(*, is_array: bool = False, **config: Any) -> GeminiRequest:
    """A request for a stream, with a generation config."""
    return parse({"contents": SAID, "generationConfig": config}, is_streamed=True, is_array=is_array)


def read(body: Any) -> ModelRequest:
    """The body in the neutral form."""
    return read_conversation(parse(body))


def read_contents(*contents: dict[str, Any]) -> ModelRequest:
    """A conversation of these turns."""
    return read({"contents": list(contents)})


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """A turn of the user's."""
    return {"role": "user", "parts": list(parts)}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    """A turn of the model's."""
    return {"role": "model", "parts": list(parts)}


def answer(*parts: AnswerPart, stop: StopReason = StopReason.END, usage: Usage | None = USAGE) -> Answer:
    """An answer of these parts."""
    return Answer(parts=parts, stop=stop, usage=usage)


def pieces(given: Answer, asked: GeminiRequest) -> list[bytes]:
    """What a writer makes of each event of an answer."""
    writer = GeminiWriter(asked, HEAD)
    return [writer.write(event) for event in events_of(given)]


def chunks(stream: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream of events: one `data:` line each, no name, nothing else."""
    assert b"\r" not in stream
    assert stream.endswith(b"\n\n")
    found = []
    for frame in stream[:-2].split(b"\n\n"):
        assert frame.startswith(b"data: {"), frame
        assert b"\n" not in frame
        found.append(json.loads(frame[6:]))
    return found


def streamed(given: Answer, asked: GeminiRequest | None = None) -> list[dict[str, Any]]:
    """The chunks of an answer, checked for what holds of every stream."""
    found = chunks(b"".join(pieces(given, asked or request())))
    check_stream(found)
    return found


def check_stream(found: list[dict[str, Any]]) -> None:
    """The rules of every whole stream: see `GeminiWriter`."""
    for chunk in found:
        assert (chunk["modelVersion"], chunk["responseId"]) == (HEAD.model, HEAD.stem)
        (candidate,) = chunk["candidates"]
        assert candidate["index"] == 0
        assert candidate["content"]["role"] == "model"
        assert candidate["content"]["parts"]
    assert ["finishReason" in chunk["candidates"][0] for chunk in found] == [False] * (len(found) - 1) + [True]
    assert "usageMetadata" in found[-1]


def joined(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of all chunks, texts of one kind put together, empty ones left out unless they bear a signature."""
    parts: list[dict[str, Any]] = []
    for chunk in found:
        for part in chunk["candidates"][0]["content"]["parts"]:
            last = parts[-1] if parts else {}
            is_text = "text" in part and "text" in last and part.get("thought") == last.get("thought")
            if is_text and "thoughtSignature" not in last:
                parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
            elif part != {"text": ""}:
                parts.append(part)
    return parts or [{"text": ""}]
