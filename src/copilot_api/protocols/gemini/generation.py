"""What a Gemini request says of the answer: its form, its limits, how much to think, and what cannot be had."""

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import OutputFormat, Thinking
from copilot_api.protocols.effort import EFFORTS
from copilot_api.protocols.gemini import wire
from copilot_api.protocols.gemini.schema import json_schema, wrapped
from copilot_api.protocols.untyped import list_of

_CONFIG = "generationConfig"
_LEVEL = f"{_CONFIG}.thinkingConfig.thinkingLevel"
_MIME_TYPES = {"text/plain", "application/json", "text/x.enum"}
_FORMAT_NAME = "response"


class AnswerForm(msgspec.Struct, frozen=True):
    """The form that the answer must have; a wrapped one holds what the client wants in one field of an object."""

    output_format: OutputFormat | None = None
    is_wrapped: bool = False
    rule: str = ""
    """An instruction, for a form that no upstream has a name for."""


def check_possible(request: wire.Request) -> None:
    """Raise `BadRequest` for what would change the answer and no upstream can do."""
    config = request.generation_config or wire.GenerationConfig()
    if request.cached_content:
        raise _refusal("cachedContent", "cached contents live at Google; send the contents themselves")
    if request.continuation_token:
        raise _refusal("continuationToken", "an answer cannot be continued; send the contents themselves")
    if config.candidate_count is not None and config.candidate_count != 1:
        raise _refusal(f"{_CONFIG}.candidateCount", "one candidate is all there is; leave it out")
    if config.response_logprobs or config.logprobs:
        raise _refusal(
            f"{_CONFIG}.{'responseLogprobs' if config.response_logprobs else 'logprobs'}",
            "no log probabilities can be had; leave it out",
        )
    for place, modality in enumerate(config.response_modalities or ()):
        if modality.upper() not in {"TEXT", "MODALITY_UNSPECIFIED"}:
            raise _refusal(f"{_CONFIG}.responseModalities[{place}]", "answers are text")
    if config.max_output_tokens is not None and not _is_count(config.max_output_tokens, at_least=1):
        raise _refusal(f"{_CONFIG}.maxOutputTokens", "it must be a whole number of at least 1")
    budget = config.thinking_config.thinking_budget if config.thinking_config else None
    if budget is not None and not _is_count(budget, at_least=-1):
        raise _refusal(f"{_CONFIG}.thinkingConfig.thinkingBudget", "it must be a number of tokens, 0, or -1")


def _is_count(value: wire.Whole, *, at_least: int) -> bool:
    return value >= at_least and value == int(value)


def _refusal(path: str, reason: str) -> BadRequest:
    return BadRequest(f"the field '{path}' cannot be served: {reason}", param=path)


def dropped_names(request: wire.Request) -> tuple[str, ...]:
    """What is asked for, makes little difference, and no upstream is told."""
    config = request.generation_config or wire.GenerationConfig()
    wanted = {
        "seed": config.seed is not None,
        "presencePenalty": bool(config.presence_penalty),
        "frequencyPenalty": bool(config.frequency_penalty),
        "speechConfig": wire.is_given(config.speech_config),
        "mediaResolution": wire.is_given(config.media_resolution),
        "imageConfig": wire.is_given(config.image_config),
        "safetySettings": bytes(request.safety_settings) not in {b"", b"null", b"[]"},
    }
    return tuple(name for name, is_wanted in wanted.items() if is_wanted)


def thinking_level(config: wire.GenerationConfig | None) -> str | None:
    """The effort that the client names."""
    thinking = config.thinking_config if config else None
    level = (thinking.thinking_level or "").lower() if thinking else ""
    if level in {"", "thinking_level_unspecified"}:
        return None
    if level not in EFFORTS:
        raise BadRequest(f"the field '{_LEVEL}' is none of MINIMAL, LOW, MEDIUM, HIGH, XHIGH", param=_LEVEL)
    return level


def read_thinking(config: wire.GenerationConfig | None) -> Thinking | None:
    """How much to think. A budget of -1 leaves it to the model, one of 0 forbids it."""
    thinking = config.thinking_config if config else None
    if thinking is None:
        return None
    budget = thinking.thinking_budget
    level = thinking_level(config)
    return Thinking(
        effort=level,
        budget_tokens=int(budget) if budget is not None and budget > 0 else None,
        is_disabled=level in {None, "none"} and (budget == 0 or level == "none"),
        is_shown=thinking.include_thoughts,
    )


def read_form(config: wire.GenerationConfig | None) -> AnswerForm:
    """The form that the answer must have. Raises `BadRequest` for one that is not text."""
    if config is None:
        return AnswerForm()
    mime_type = config.response_mime_type or ""
    if mime_type and mime_type not in _MIME_TYPES:
        raise _refusal(f"{_CONFIG}.responseMimeType", f"it is none of {', '.join(sorted(_MIME_TYPES))}")
    if config.response_json_schema is not None:
        schema = config.response_json_schema
    else:
        schema = json_schema(config.response_schema or {})
    if mime_type == "text/x.enum":
        values = [str(value) for value in list_of(schema.get("enum"))]
        rule = "Reply with exactly one of these values, and nothing else: " + ", ".join(values)
        return AnswerForm(rule=rule if values else "")
    if not schema:
        is_json = mime_type == "application/json"
        return AnswerForm(OutputFormat(kind="json_object") if is_json else None)
    is_wrapped = schema.get("type") != "object"
    return AnswerForm(
        OutputFormat(kind="json_schema", name=_FORMAT_NAME, schema=wrapped(schema) if is_wrapped else schema),
        is_wrapped=is_wrapped,
    )
