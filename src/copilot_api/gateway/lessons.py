"""
What Copilot refused, and the same request without it.

What Copilot takes changes from week to week and from model to model. A request that it refuses for one thing that can
be left out is sent again without that thing, once, before the caller has seen anything; the next request to the same
model leaves it out at once. What is left out never changes what was asked: betas, hints, cache marks, and reasoning
that this upstream cannot verify.
"""

import re
from typing import Any

import msgspec
from msgspec.structs import replace

from copilot_api.errors import GatewayError, UpstreamRefused
from copilot_api.protocols.base import Outgoing
from copilot_api.protocols.messages.betas import parse_refused_betas
from copilot_api.protocols.untyped import list_of, object_of, text_of

_EXTRA = re.compile(r"([A-Za-z0-9_.]+): Extra inputs are not permitted")
_PARAMETER = re.compile(
    r"[Uu]nsupported (?:parameter|value):? '([a-z_.]+)'|'([a-z_.]+)' is not supported with this model"
)
_UNKNOWN = re.compile(r"[Uu]nknown (?:parameter|field):? '([A-Za-z0-9_.\[\]]+)'")
_CARRIER = re.compile(
    r"[Ii]nvalid `?signature`?|encrypted content .*could not be (?:verified|decrypted|decoded)"
    r"|invalid_encrypted_content|Expected `thinking`|does not belong to this connection",
    re.DOTALL,
)
_HINTS = {
    "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed", "logit_bias", "user", "metadata",
    "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "truncation", "verbosity",
    "text.verbosity", "stream_options", "parallel_tool_calls", "context_management", "include", "reasoning.summary",
    "output_config", "cache_control", "store",
}  # fmt: skip
"""What may be left out without changing what was asked."""
_KEPT = {"model", "messages", "input", "system", "instructions", "content", "role", "tools", "max_tokens"}
_MAX_LESSONS = 64


class Lessons:
    """What each endpoint and model refused; kept as long as the process, and bounded."""

    def __init__(self) -> None:
        self._learnt: dict[tuple[str, str], dict[str, None]] = {}

    def apply(self, outgoing: Outgoing, endpoint: str, model: str) -> Outgoing:
        """The request without what this model is known to refuse."""
        learnt = self._learnt.get((endpoint, model))
        if not learnt:
            return outgoing
        for lesson in learnt:
            outgoing = _without(outgoing, lesson) or outgoing
        return outgoing

    def mend(self, outgoing: Outgoing, error: GatewayError, endpoint: str, model: str) -> Outgoing | None:
        """The request without what `error` complains of; None when there is nothing that may be left out."""
        if not isinstance(error, UpstreamRefused):
            return None
        if _CARRIER.search(f"{error.message} {error.upstream_code}"):
            return _without_reasoning(outgoing)  # it is about this conversation, nothing to remember
        mended: Outgoing | None = None
        for lesson in _lessons_in(error):
            without = _without(mended or outgoing, lesson)
            if without is not None:
                mended = without
                learnt = self._learnt.setdefault((endpoint, model), {})
                if len(learnt) < _MAX_LESSONS:
                    learnt[lesson] = None
        return mended


def _lessons_in(error: UpstreamRefused) -> list[str]:
    """What the refusal names, each as `beta:NAME` or `field:PATH` (numbers in a path stand for any)."""
    betas = parse_refused_betas(error.message)
    if betas:
        return [f"beta:{name}" for name in betas]
    found: list[str] = []
    unknown = [path.replace("[", ".").replace("]", "") for path in _UNKNOWN.findall(error.message)]
    for path in [*_EXTRA.findall(error.message), *unknown]:
        general = ".".join("*" if part.isdigit() else part for part in path.split("."))
        if general.rpartition(".")[2] not in _KEPT:
            found.append(f"field:{general}")
    named = [one or other for one, other in _PARAMETER.findall(error.message)]
    if error.param and error.upstream_code in {"unsupported_parameter", "unsupported_value", "unknown_parameter"}:
        named.append(error.param)
    found += [f"field:{name}" for name in named if name in _HINTS]
    return list(dict.fromkeys(found))


def _without(outgoing: Outgoing, lesson: str) -> Outgoing | None:
    kind, _, name = lesson.partition(":")
    if kind == "beta":
        return _without_beta(outgoing, name)
    try:
        body = msgspec.json.decode(outgoing.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not _delete(body, name.split(".")):
        return None
    return replace(outgoing, body=msgspec.json.encode(body))


def _without_beta(outgoing: Outgoing, name: str) -> Outgoing | None:
    betas = [beta for beta in outgoing.headers.get("anthropic-beta", "").split(",") if beta]
    kept = [beta for beta in betas if beta != name]
    if len(kept) == len(betas):
        return None
    headers = {key: value for key, value in outgoing.headers.items() if key != "anthropic-beta"}
    if kept:
        headers["anthropic-beta"] = ",".join(kept)
    return replace(outgoing, headers=headers)


def _delete(value: Any, path: list[str]) -> bool:
    """
    Delete what `path` leads to, wherever `*` leads; whether there was anything.

    Anthropic's paths also name the kind of a block (`messages.1.content.0.text.cache_control`): a step that the object
    does not have is taken for one of those.
    """
    step, rest = path[0], path[1:]
    if step == "*":
        return any([_delete(inner, rest) for inner in list_of(value)]) if rest else False
    fields = object_of(value)
    if not rest:
        return fields.pop(step, None) is not None
    if not fields:
        return False
    inner = fields.get(step)
    return _delete(inner if isinstance(inner, dict | list) else fields, rest)


def _without_reasoning(outgoing: Outgoing) -> Outgoing | None:
    """The request without the reasoning of earlier turns: what the upstream cannot verify only stands in the way."""
    try:
        body = object_of(msgspec.json.decode(outgoing.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    changed = False
    items = list_of(body.get("input"))
    kept = [item for item in items if object_of(item).get("type") != "reasoning"]
    for item in kept:
        changed = object_of(item).pop("id", None) is not None or changed
    if items:
        changed = changed or len(kept) < len(items)
        body["input"] = kept
    for message in map(object_of, list_of(body.get("messages"))):
        blocks = list_of(message.get("content"))
        spoken = [block for block in blocks if "thinking" not in text_of(object_of(block).get("type"))]
        if len(spoken) < len(blocks):
            message["content"] = spoken or [{"type": "text", "text": "(no content)"}]
            changed = True
        changed = message.pop("reasoning_opaque", None) is not None or changed
        message.pop("reasoning_text", None)
    if changed and object_of(body.get("thinking")).get("type") == "enabled":
        # With a budget, the last turn that called a tool must still have its thinking: it has none now.
        del body["thinking"]
    return replace(outgoing, body=msgspec.json.encode(body)) if changed else None
