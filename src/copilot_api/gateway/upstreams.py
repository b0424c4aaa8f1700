"""The endpoints of Copilot's that calls can be translated to."""

from copilot_api.gateway.surface import UpstreamEndpoint
from copilot_api.protocols.chat import outgoing as chat_outgoing
from copilot_api.protocols.chat import parse as chat_parse
from copilot_api.protocols.chat.reader import ChatReader
from copilot_api.protocols.messages import outgoing as messages_outgoing
from copilot_api.protocols.messages import parse as messages_parse
from copilot_api.protocols.messages.reader import MessagesReader
from copilot_api.protocols.responses import outgoing as responses_outgoing
from copilot_api.protocols.responses import parse as responses_parse
from copilot_api.protocols.responses.reader import ResponsesReader
from copilot_api.protocols.translation.codec import UpstreamCodec
from copilot_api.protocols.translation.prepare import Target
from copilot_api.upstream.catalog import CHAT, MESSAGES, RESPONSES

UPSTREAMS = {
    CHAT: UpstreamEndpoint(
        CHAT, Target.CHAT, UpstreamCodec(chat_outgoing.render_request, chat_parse.parse_answer, ChatReader)
    ),
    RESPONSES: UpstreamEndpoint(
        RESPONSES,
        Target.RESPONSES,
        UpstreamCodec(responses_outgoing.render_request, responses_parse.parse_answer, ResponsesReader),
    ),
    MESSAGES: UpstreamEndpoint(
        MESSAGES,
        Target.MESSAGES,
        UpstreamCodec(messages_outgoing.render_request, messages_parse.parse_answer, MessagesReader),
    ),
}
