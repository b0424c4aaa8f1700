"""
The relay: Copilot's answer on its way to the client.

One loop: bytes in, events edited or translated, usage noted, bytes out. Waiting to send is the back-pressure: the
upstream is read no faster than the client takes it.

A stream's status leaves with the first of the answer itself. What comes before that (a stream that has been created, a
message that has begun) is held back until then, or until the upstream is silent: an answer that fails at once is an
error with its own status, which clients know how to repeat, instead of a broken stream.
"""

from copilot_api.gateway.call import Answer
from copilot_api.gateway.settlement import Record
from copilot_api.gateway.surface import Route
from copilot_api.protocols.base import AnswerHead, StreamRelay
from copilot_api.upstream.client import cut_error
from copilot_api.upstream.transport import Reply, Silence, TransportError


async def relay_whole(reply: Reply, route: Route, head: AnswerHead, record: Record, answer: Answer) -> None:
    """A whole answer: read it, mend or translate it, send it."""
    is_stream = reply.content_type.startswith(b"text/event-stream")
    body = await _read_whole(reply)
    whole = route.read_events(body, head) if is_stream else route.read_answer(body, head)
    reply.close()
    record.metered_by(whole)
    record.first_token()
    record.sent(len(whole.body))
    record.completed()
    await answer.send_whole(whole.body)


async def relay_stream(
    reply: Reply, stream: StreamRelay, route: Route, head: AnswerHead, record: Record, answer: Answer
) -> None:
    """A streamed answer, as it comes."""
    if b"json" in reply.content_type:
        await _relay_whole_as_stream(reply, route, head, record, answer)
        return
    record.metered_by(stream)
    held = await _relay_events(reply, stream, record, answer)
    events = held + stream.finish()
    reply.close()
    record.sent(len(events))
    record.completed()
    await answer.end(events)


async def _relay_events(reply: Reply, stream: StreamRelay, record: Record, answer: Answer) -> bytes:
    """Everything up to the upstream's end; what is held back still when it comes."""
    held = b""
    is_waiting = True
    try:
        while chunk := await reply.read():
            if isinstance(chunk, Silence):
                record.answering()
                if held:
                    await answer.write(held)
                    held = b""
                await answer.note(stream.keep_alive())
                continue
            events = stream.feed(chunk)
            if is_waiting and stream.has_content:
                is_waiting = False
                record.answering()
                record.first_token()
                events, held = held + events, b""
            elif is_waiting and not answer.has_events:
                held, events = held + events, b""
            if events:
                record.sent(len(events))
                await answer.write(events)
            if stream.failure is not None:
                raise stream.failure
            if stream.is_over:
                return held
    except TransportError as error:
        raise cut_error(error) from error
    return held


async def _relay_whole_as_stream(reply: Reply, route: Route, head: AnswerHead, record: Record, answer: Answer) -> None:
    """
    The client wants events and the upstream sent plain JSON: an error with status 200, or an answer that cannot
    stream.
    """
    meter, events = route.stream_whole(await _read_whole(reply), head)
    record.metered_by(meter)
    record.first_token()
    record.sent(len(events))
    record.completed()
    await answer.end(events)


async def _read_whole(reply: Reply) -> bytes:
    try:
        return await reply.read_all()
    except TransportError as error:
        raise cut_error(error) from error
