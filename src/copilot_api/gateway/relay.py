"""
The relay: Copilot's answer on its way to the client.

One loop: bytes in, events edited, usage noted, bytes out. Waiting to send is the back-pressure: the upstream is read no
faster than the client takes it.
"""

from copilot_api.gateway.call import Answer
from copilot_api.gateway.settlement import Record
from copilot_api.gateway.surface import Surface
from copilot_api.protocols.base import ParsedRequest
from copilot_api.upstream.client import cut_error
from copilot_api.upstream.transport import Reply, Silence, TransportError


async def relay_whole(
    reply: Reply, surface: Surface, request: ParsedRequest, record: Record, answer: Answer, now: int
) -> None:
    """A whole answer: read it, mend it, send it."""
    whole = surface.parse_answer(request, await _read_whole(reply), now)
    reply.close()
    record.metered_by(whole)
    record.first_token()
    record.sent(len(whole.body))
    record.completed()
    await answer.send_whole(whole.body)


async def relay_stream(
    reply: Reply, surface: Surface, request: ParsedRequest, record: Record, answer: Answer, now: int
) -> None:
    """A streamed answer, as it comes."""
    if b"json" in reply.content_type:
        await _relay_whole_as_stream(reply, surface, request, record, answer, now)
        return
    stream = surface.open_stream(request, now)
    record.metered_by(stream)
    is_waiting = True
    try:
        while chunk := await reply.read():
            if isinstance(chunk, Silence):
                record.answering()
                await answer.keep_alive()
                continue
            events = stream.feed(chunk)
            if events:
                if is_waiting:
                    record.answering()
                    if stream.has_content:
                        is_waiting = False
                        record.first_token()
                record.sent(len(events))
                await answer.write(events)
            if stream.failure is not None:
                raise stream.failure
    except TransportError as error:
        raise cut_error(error) from error
    events = stream.finish()
    reply.close()
    record.sent(len(events))
    record.completed()
    await answer.end(events)


async def _relay_whole_as_stream(
    reply: Reply, surface: Surface, request: ParsedRequest, record: Record, answer: Answer, now: int
) -> None:
    """
    The client wants events and the upstream sent plain JSON: an error with status 200, or an answer that cannot
    stream.
    """
    body = await _read_whole(reply)
    whole = surface.parse_answer(request, body, now)
    record.metered_by(whole)
    record.first_token()
    events = surface.stream_whole(request, whole.body, now)
    record.sent(len(events))
    record.completed()
    await answer.end(events)


async def _read_whole(reply: Reply) -> bytes:
    try:
        return await reply.read_all()
    except TransportError as error:
        raise cut_error(error) from error
