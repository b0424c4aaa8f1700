"""Copilot's whole chat answer in the neutral form: read as the stream of one chunk that it amounts to."""

import msgspec
from msgspec.structs import replace

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.chat.chunks import ChunkReader
from copilot_api.protocols.chat.wire import decode_any
from copilot_api.protocols.conversation import Answer, Collector, Finished, StopReason, ToolCall
from copilot_api.protocols.untyped import list_of, object_of


def parse_answer(source: bytes) -> Answer:
    """
    The answer in `source`; several choices are one turn (Claude's way). Raises `UpstreamFailed` when it is none, and
    what it reports.
    """
    try:
        body = object_of(decode_any(source))
    except (ValueError, RecursionError) as error:
        raise UpstreamFailed("GitHub Copilot answered something that is not a chat completion") from error
    if not body.get("error"):
        if not isinstance(body.get("choices"), list):
            raise UpstreamFailed("GitHub Copilot answered something that is not a chat completion")
        if not list_of(body["choices"]):
            raise UpstreamFailed("GitHub Copilot answered without any choice")
    chunks = ChunkReader()
    collector = Collector()
    collector.add(chunks.read(body, source))
    collector.add(chunks.events.end())
    stop = chunks.events.stop(chunks.finish_reason or "")
    collector.add([Finished(stop, chunks.usage)])
    return _without_broken_call(collector.answer(nano_aiu=chunks.nano_aiu))


def _without_broken_call(answer: Answer) -> Answer:
    """An answer cut at its limit in the middle of a call's arguments, without that call: nobody could run it."""
    if answer.stop is not StopReason.LENGTH or not answer.parts:
        return answer
    last = answer.parts[-1]
    if not isinstance(last, ToolCall) or _is_json(last.arguments):
        return answer
    return replace(answer, parts=answer.parts[:-1])


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
