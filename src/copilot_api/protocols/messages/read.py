"""A Messages request in the neutral form: what the client said, in its order, with nothing added."""

import hashlib
import re

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import ModelRequest, OutputFormat, Thinking
from copilot_api.protocols.messages import wire
from copilot_api.protocols.messages.conversation_blocks import read_messages, texts_of
from copilot_api.protocols.messages.request import MessagesRequest, decode_or_refuse
from copilot_api.protocols.messages.typed_tools import read_tool_choice, read_tools

_decoder = msgspec.json.Decoder(wire.Conversation)
_MAX_KEY = 64
_OLD_USER_ID = re.compile(
    r"user_(?P<device>[0-9A-Za-z]+)_account_(?P<account>[0-9A-Za-z-]*)_session_(?P<session>[0-9A-Za-z-]+)"
)


def read_conversation(request: MessagesRequest) -> ModelRequest:
    """The request in the neutral form. Raises `BadRequest` for what no other protocol can say."""
    asked = decode_or_refuse(_decoder, request.body.source)
    if bytes(asked.container) != b"null":
        raise BadRequest("containers run on Anthropic's servers only", param="container", hint="leave it out")
    tools = read_tools([*(asked.tools or []), *([wire.Tool(type="mcp_servers")] if asked.mcp_servers else [])])
    choice, told = asked.tool_choice, (asked.tool_choice and asked.tool_choice.disable_parallel_tool_use)
    user, cache_key = _identity(asked.metadata)
    return ModelRequest(
        model=request.model,
        system=texts_of(asked.system, "system"),
        messages=read_messages(asked.messages),
        tools=tools.kept,
        tool_choice=read_tool_choice(choice, tools),
        is_parallel=None if told is None else not told,
        max_output_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        stop=tuple(asked.stop_sequences or ()),
        thinking=_thinking(asked),
        output_format=_output_format(asked),
        user=user,
        cache_key=cache_key,
        is_streamed=request.is_streamed,
        dropped=tools.dropped,
    )


def _thinking(asked: wire.Conversation) -> Thinking | None:
    effort = asked.output_config.effort if asked.output_config else None
    said = asked.thinking
    if said is None:
        return None if effort is None else Thinking(effort=effort)
    is_shown = None if said.display is None else said.display != "omitted"
    match said.type:
        case "disabled":
            return Thinking(effort=effort, is_disabled=True, is_shown=is_shown)
        case "enabled" if said.budget_tokens is not None:
            return Thinking(effort=effort, budget_tokens=said.budget_tokens, is_shown=is_shown)
        case "enabled" | "adaptive":
            return Thinking(effort=effort, is_adaptive=True, is_shown=is_shown)
        case _:
            raise BadRequest(
                "the field 'thinking.type' is wrong: expected adaptive, enabled or disabled", param="thinking.type"
            )


def _output_format(asked: wire.Conversation) -> OutputFormat | None:
    """The form of the answer; `output_format` is what betas called it."""
    path, said = "output_config.format", asked.output_config.format if asked.output_config else None
    if said is None:
        path, said = "output_format", asked.output_format
    if said is None:
        return None
    if said.type != "json_schema":
        raise BadRequest(f"the field '{path}.type' is wrong: expected json_schema", param=f"{path}.type")
    if said.schema is None:
        raise BadRequest(f"the field '{path}.schema' is required", param=f"{path}.schema")
    return OutputFormat(kind="json_schema", schema=said.schema)


class _UserId(msgspec.Struct):
    session_id: str
    device_id: str = ""
    account_uuid: str = ""


def _identity(metadata: wire.Metadata | None) -> tuple[str | None, str | None]:
    """
    An anonymous name of the user, and what groups the calls of one session, from Claude Code's `user_id`. Any other is
    no session, and may be a person's name: it gives neither.
    """
    text = (metadata and metadata.user_id) or ""
    if text.startswith("{"):
        try:
            named = msgspec.json.decode(text, type=_UserId)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return None, None
        return _user(named.device_id, named.account_uuid), _key(named.session_id)
    found = _OLD_USER_ID.fullmatch(text)
    if found is None:
        return None, None
    return _user(found["device"], found["account"]), _key(found["session"])


def _user(device: str, account: str) -> str | None:
    return hashlib.sha256(f"{device}/{account}".encode()).hexdigest() if device or account else None


def _key(session: str) -> str | None:
    if len(session) <= _MAX_KEY:
        return session or None
    return hashlib.sha256(session.encode()).hexdigest()
