"""
One translated call: a client's request to an upstream of another protocol, and the answer back.

    request ─▶ read_conversation ─▶ prepare ─▶ render_request ─▶ upstream
    answer  ◀─ render_answer / Writer ◀─ shims ◀─ parse_answer / Reader ◀─
"""

from copy import copy
from typing import Any

from msgspec.structs import replace

from copilot_api.errors import GatewayError
from copilot_api.protocols.base import AnswerHead, ModelTraits, Outgoing, Usage
from copilot_api.protocols.conversation import (
    Answer,
    Collector,
    Finished,
    ReasoningDelta,
    Started,
    StreamEvent,
    TextDelta,
    ToolCall,
    ToolDelta,
    events_of,
)
from copilot_api.protocols.sse import KEEP_ALIVE
from copilot_api.protocols.translation.codec import ClientCodec, Reader, UpstreamCodec, Writer
from copilot_api.protocols.translation.prepare import Prepared, Target, prepare
from copilot_api.protocols.translation.shims import Shim

_CHARACTERS_A_TOKEN = 4


class TranslatedAnswer:
    """A whole answer in the client's protocol, and what it consumed."""

    __slots__ = ("body", "nano_aiu", "usage")

    def __init__(self, body: bytes, usage: Usage | None, nano_aiu: int | None) -> None:
        self.body = body
        self.usage = usage
        self.nano_aiu = nano_aiu


class Translation:
    """One call between two protocols."""

    def __init__(
        self, request: Any, client: ClientCodec, upstream: UpstreamCodec, target: Target, traits: ModelTraits
    ) -> None:
        self._request = request
        self._client = client
        self._upstream = upstream
        self._prepared: Prepared = prepare(client.read_conversation(request), target, traits)
        self._traits = traits

    @property
    def conversation(self) -> Any:
        """The request in the neutral form, as it goes upstream."""
        return self._prepared.request

    @property
    def dropped(self) -> tuple[str, ...]:
        """What the client asked for and does not get, by name."""
        return self._prepared.request.dropped

    def outgoing(self) -> Outgoing:
        """The request as it goes upstream."""
        return self._upstream.render_request(self._prepared.request, self._traits)

    def read_answer(self, body: bytes, head: AnswerHead) -> TranslatedAnswer:
        """A whole answer. Raises what it reports, or `UpstreamFailed`."""
        return self._rendered(self._upstream.parse_answer(body), head)

    def read_events(self, body: bytes, head: AnswerHead) -> TranslatedAnswer:
        """The same from an upstream that only streams."""
        return self._rendered(read_events(self._upstream, body), head)

    def _rendered(self, parsed: Answer, head: AnswerHead) -> TranslatedAnswer:
        answer = self._restored(parsed, head)
        return TranslatedAnswer(self._client.render_answer(answer, self._request, head), parsed.usage, parsed.nano_aiu)

    def open_stream(self, head: AnswerHead) -> "TranslatedStream":
        """A streamed answer."""
        writer = self._client.open_writer(self._request, head)
        return TranslatedStream(self._upstream.open_reader(), writer, self._fresh_shims(), head)

    def stream_whole(self, body: bytes, head: AnswerHead) -> tuple[TranslatedAnswer, bytes]:
        """A whole answer to a client that waits for a stream: what it consumed, and its events."""
        parsed = self._upstream.parse_answer(body)
        answer = self._restored(parsed, head)
        writer = self._client.open_writer(self._request, head)
        events = b"".join([writer.write(event) for event in events_of(answer)])
        return TranslatedAnswer(b"", parsed.usage, parsed.nano_aiu), events

    def _fresh_shims(self) -> tuple[Shim, ...]:
        """The shims for one answer: they hold what they have seen, and a request may be sent again."""
        return tuple(copy(shim) for shim in self._prepared.shims)

    def _restored(self, answer: Answer, head: AnswerHead) -> Answer:
        """The answer as the client's own request would have had it."""
        usage = answer.usage or _estimated(head, sum(map(len, _texts(answer))))
        shims = self._fresh_shims()
        if not shims:
            return answer if answer.usage is not None else replace(answer, usage=usage)
        collector = Collector()
        for event in events_of(answer):
            collector.add(_through(shims, event))
        restored = collector.answer(nano_aiu=answer.nano_aiu)
        return replace(restored, usage=usage, phase=answer.phase)


class TranslatedStream:
    """See `StreamRelay`."""

    __slots__ = ("_has_ended", "_head", "_reader", "_shims", "_writer", "_written", "has_content")

    def __init__(self, reader: Reader, writer: Writer, shims: tuple[Shim, ...], head: AnswerHead) -> None:
        self._reader = reader
        self._writer = writer
        self._shims = shims
        self._head = head
        self._written = 0
        """Characters that the client has got."""
        self._has_ended = False
        self.has_content = False

    @property
    def usage(self) -> Usage | None:
        """See `AnswerMeter`."""
        return self._reader.usage

    @property
    def nano_aiu(self) -> int | None:
        """See `AnswerMeter`."""
        return self._reader.nano_aiu

    @property
    def failure(self) -> GatewayError | None:
        """See `StreamRelay`."""
        return None if self._has_ended else self._reader.failure

    @property
    def is_over(self) -> bool:
        """See `StreamRelay`. After a stop sequence the upstream may talk on; nobody listens."""
        return self._has_ended

    def feed(self, chunk: bytes) -> bytes:
        """See `StreamRelay`."""
        return self._write(self._reader.feed(chunk))

    def finish(self) -> bytes:
        """See `StreamRelay`."""
        return b"" if self._has_ended else self._write(self._reader.finish())

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """See `StreamRelay`."""
        return self._writer.fail(error, request_id)

    def keep_alive(self, note: str = KEEP_ALIVE) -> bytes:
        """See `StreamRelay`."""
        return self._writer.keep_alive(note)

    def _write(self, events: list[StreamEvent]) -> bytes:
        if not self._shims and len(events) == 1:
            return self._write_one(events[0])
        if self._shims:
            events = [restored for event in events for restored in _through(self._shims, event)]
        return b"".join([self._write_one(event) for event in events if not self._has_ended])

    def _write_one(self, event: StreamEvent) -> bytes:
        if isinstance(event, TextDelta | ReasoningDelta):
            self._written += len(event.text)
            self.has_content = True
        elif isinstance(event, Finished):
            self._has_ended = True
            if event.usage is None:
                event = replace(event, usage=self._reader.usage or _estimated(self._head, self._written))
        elif not isinstance(event, Started):
            self.has_content = True
            if isinstance(event, ToolDelta):
                self._written += len(event.arguments)
        return self._writer.write(event)


def read_events(upstream: UpstreamCodec, body: bytes) -> Answer:
    """The answer in a stream that came where a whole answer was asked for. Raises what the stream reports."""
    reader, collector = upstream.open_reader(), Collector()
    collector.add(reader.feed(body))
    if reader.failure is not None:
        raise reader.failure
    collector.add(reader.finish())
    return collector.answer(nano_aiu=reader.nano_aiu)


def _through(shims: tuple[Shim, ...], event: StreamEvent) -> list[StreamEvent]:
    events = [event]
    for shim in shims:
        events = [restored for inner in events for restored in shim.feed(inner)]
    return events


def _texts(answer: Answer) -> list[str]:
    return [part.arguments if isinstance(part, ToolCall) else part.text for part in answer.parts]


def _estimated(head: AnswerHead, characters: int) -> Usage:
    """What the client is told where the upstream says nothing of it; the ledger knows that it is not known."""
    return Usage(input_tokens=head.input_estimate, output_tokens=-(-characters // _CHARACTERS_A_TOKEN))
