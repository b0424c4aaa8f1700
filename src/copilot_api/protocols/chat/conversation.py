"""A chat request in the neutral form: what goes where another protocol is spoken."""

import hashlib

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.chat import conversation_wire as wire
from copilot_api.protocols.chat.conversation_messages import read_messages
from copilot_api.protocols.chat.request import ChatRequest
from copilot_api.protocols.chat.tools import read_tool_choice, read_tools
from copilot_api.protocols.conversation import ModelRequest, OutputFormat, Thinking
from copilot_api.protocols.json_object import wrong_field

_decode_body = msgspec.json.Decoder(wire.ChatBody).decode
_MAX_IDENTIFIER = 64
_DROPPED = (
    "seed", "presence_penalty", "frequency_penalty", "logit_bias", "prediction", "web_search_options", "moderation",
)  # fmt: skip


def read_conversation(request: ChatRequest) -> ModelRequest:
    """What the client said. Raises `BadRequest` for what is wrong, and for what no translation can give."""
    body = _body(request.body.source)
    _refuse_untranslatable(body)
    system, messages = read_messages(body.messages)
    tools, hosted = read_tools(body)
    stop = body.stop
    return ModelRequest(
        model=request.model,
        system=system,
        messages=messages,
        tools=tools,
        tool_choice=read_tool_choice(body, hosted),
        # A client of the old functions has room for one call an answer.
        is_parallel=False if request.speaks_functions else body.parallel_tool_calls,
        max_output_tokens=_limit(body),
        temperature=body.temperature,
        top_p=body.top_p,
        stop=() if stop is None else (stop,) if isinstance(stop, str) else tuple(stop),
        thinking=_thinking(body.reasoning_effort),
        output_format=_output_format(body.response_format),
        verbosity=body.verbosity,
        user=_anonymous(body.safety_identifier or body.user),
        cache_key=_short(body.prompt_cache_key),
        is_streamed=request.is_streamed,
        dropped=(*(name for name in _DROPPED if getattr(body, name)), *(f"tools.{kind}" for kind in hosted)),
    )


def _body(source: bytes) -> wire.ChatBody:
    try:
        return _decode_body(source)
    except msgspec.ValidationError as error:
        raise wrong_field(error) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


def _refuse_untranslatable(body: wire.ChatBody) -> None:
    if body.n is not None and body.n != 1:
        raise _unsupported("n", "this model gives one answer a request; send n requests", "unsupported_value")
    if body.logprobs:
        raise _unsupported("logprobs", "this model tells no log probabilities; leave 'logprobs' out")
    if body.audio is not None:
        raise _unsupported("audio", "this model does not speak; leave 'audio' out")
    if body.modalities and any(kind != "text" for kind in body.modalities):
        raise _unsupported("modalities", "this model answers in text only; ask for ['text']", "unsupported_value")


def _unsupported(param: str, message: str, code: str = "unsupported_parameter") -> BadRequest:
    return BadRequest(message, param=param, upstream_code=code)


def _limit(body: wire.ChatBody) -> int | None:
    name = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    limit = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    if limit is not None and limit < 1:
        raise BadRequest(f"'{name}' is {limit}; it must be at least 1", param=name, upstream_code="invalid_value")
    return limit


def _thinking(effort: str | None) -> Thinking | None:
    return Thinking(effort=effort, is_disabled=effort == "none") if effort else None


def _output_format(given: wire.ResponseFormat | None) -> OutputFormat | None:
    match None if given is None else given.type:
        case None | "text":
            return None
        case "json_object":
            return OutputFormat(kind="json_object")
        case "json_schema":
            found = given.json_schema if given and given.json_schema else wire.JsonSchema()
            if found.schema is None:
                path = "response_format.json_schema.schema"
                raise BadRequest(f"the field '{path}' is required", param=path)
            return OutputFormat(
                kind="json_schema",
                name=found.name or "",
                description=found.description or "",
                schema=found.schema,
                strict=found.strict,
            )
        case kind:
            raise BadRequest(
                f"'response_format.type' is {kind[:100]!r}; use text, json_object or json_schema",
                param="response_format.type",
                upstream_code="unsupported_value",
            )


def _anonymous(name: str | None) -> str | None:
    """A name for the end user that says nothing of who it is: an address becomes its hash."""
    return _hashed(name) if name and "@" in name else _short(name)


def _short(name: str | None) -> str | None:
    return _hashed(name) if name and len(name) > _MAX_IDENTIFIER else name or None


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()
