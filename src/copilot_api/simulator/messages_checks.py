"""What `/v1/messages` and its token count refuse: betas, foreign fields, tools, thinking, and disorderly content."""

from typing import Any

from copilot_api.simulator.catalog import Model
from copilot_api.simulator.checks import check_effort, check_types
from copilot_api.simulator.content_checks import check_content, check_tool_pairing
from copilot_api.simulator.replies import anthropic_refusal, backend_refusal, gateway_refusal, recorded
from copilot_api.simulator.wire import Json, is_count, is_object, object_at, text_at

_BETAS = {
    "interleaved-thinking-2025-05-14",
    "context-management-2025-06-27",
    "advanced-tool-use-2025-11-20",
    "effort-2025-11-24",
    "prompt-caching-2024-07-31",
    "computer-use-2025-11-24",
    "compact-2026-01-12",
    "pdfs-2024-09-25",
}
_CONTEXT_BETAS = {"context-management-2025-06-27", "compact-2026-01-12"}
_FIELDS = {
    "model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream", "temperature", "top_k",
    "top_p", "tools", "tool_choice", "thinking", "output_config", "output_format", "service_tier", "speed",
}  # fmt: skip
_TOOL_TAGS = (
    "bash_20250124", "custom", "memory_20250818", "text_editor_20250124", "text_editor_20250429",
    "text_editor_20250728", "tool_search_tool_bm25", "tool_search_tool_bm25_20251119", "tool_search_tool_regex",
    "tool_search_tool_regex_20251119",
)  # fmt: skip
_MOST_OUTPUT_TOKENS = 128_000
_FEWEST_THINKING_TOKENS = 1024
_TYPES: dict[str, tuple[type, ...]] = {
    "stream": (bool,),
    "system": (str, list),
    "max_tokens": (int,),
    "temperature": (int, float),
    "top_p": (int, float),
    "top_k": (int,),
    "tools": (list,),
    "tool_choice": (dict,),
    "thinking": (dict,),
    "output_config": (dict,),
    "stop_sequences": (list,),
    "metadata": (dict,),
}


def check_messages(body: Json, model: Model, betas: set[str], backend: str, *, is_counting: bool) -> None:
    """The whole body, in the order the upstream complains."""
    _check_betas(betas)
    _check_fields(body, betas)
    check_types(body, _TYPES)
    _check_tools(body.get("tools"), betas, is_strict=backend == "vertex")
    _check_thinking(body, model)
    if backend == "vertex" and (body.get("output_format") or object_at(body, "output_config").get("format")):
        raise recorded("vertex_structured_outputs")
    if not is_counting:
        _check_max_tokens(body)
    check_content(body, is_strict=backend == "vertex")
    messages: list[Json] = body["messages"]
    check_tool_pairing(messages)
    if model.is_newest_claude and messages[-1]["role"] == "assistant":
        raise recorded("prefill")


def read_betas(header: str | None) -> set[str]:
    """The names of an `anthropic-beta` header; one that is empty is malformed."""
    if header is None:
        return set()
    names = {name.strip() for name in header.split(",")}
    if "" in names:
        raise gateway_refusal("Unexpected value(s) `` for the `anthropic-beta` header.")
    return names


def _check_betas(betas: set[str]) -> None:
    refused = sorted(betas - _BETAS)
    if refused:
        raise gateway_refusal(f"unsupported beta header(s): {', '.join(refused)}")


def _check_fields(body: Json, betas: set[str]) -> None:
    allowed = _FIELDS | ({"context_management"} if betas & _CONTEXT_BETAS else set[str]())
    for name in body:
        if name not in allowed:
            raise backend_refusal(f"{name}: Extra inputs are not permitted")


def _check_max_tokens(body: Json) -> None:
    limit = body.get("max_tokens")
    if not is_count(limit):
        raise backend_refusal("max_tokens: Field required")
    if limit < 1:
        raise backend_refusal("max_tokens: Input should be greater than or equal to 1")
    if limit > _MOST_OUTPUT_TOKENS:
        raise recorded("max_tokens_too_large_messages")


def _check_tools(tools: Any, betas: set[str], *, is_strict: bool) -> None:
    for index, tool in enumerate(tools or ()):
        if not is_object(tool):
            raise backend_refusal(f"tools.{index}: Input should be an object")
        _check_tool_type(tool.get("type", "custom"), index, betas)
        schema = object_at(tool, "input_schema")
        if "$schema" in schema:
            raise backend_refusal(f"tools.{index}.custom.input_schema.$schema: Extra inputs are not permitted")
        refused = [name for name in ("eager_input_streaming", *(("strict",) if is_strict else ())) if name in tool]
        if "strict" in refused:
            raise recorded("vertex_structured_outputs")
        if refused:
            raise backend_refusal(f"tools.{index}.custom.{refused[0]}: Extra inputs are not permitted")
        if not text_at(tool, "name"):
            raise backend_refusal(f"tools.{index}.custom.name: Field required")
        if tool.get("type", "custom") == "custom" and not is_object(tool.get("input_schema")):
            raise backend_refusal(f"tools.{index}.custom.input_schema: Field required")


def _check_tool_type(kind: Any, index: int, betas: set[str]) -> None:
    tag = kind if isinstance(kind, str) else "custom"
    if tag.startswith("web_search"):
        raise recorded("web_search")
    if tag.startswith("web_fetch"):
        raise recorded("web_fetch")
    if tag == "computer_20251124" and "computer-use-2025-11-24" in betas:
        return
    if tag not in _TOOL_TAGS:
        expected = ", ".join(f"'{name}'" for name in _TOOL_TAGS)
        raise backend_refusal(
            f"tools.{index}: Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}"
        )


def _check_thinking(body: Json, model: Model) -> None:
    thinking, config = object_at(body, "thinking"), object_at(body, "output_config")
    kind = thinking.get("type")
    is_adaptive = bool(model.supports.get("adaptive_thinking"))
    if kind not in (None, "disabled", "enabled", "adaptive"):
        raise backend_refusal(f"thinking: Input tag '{kind}' does not match any of the expected tags")
    if kind == "adaptive" and not is_adaptive:
        raise anthropic_refusal("adaptive thinking is not supported on this model")
    if kind == "enabled" and model.takes_only_adaptive_thinking:
        raise anthropic_refusal(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" instead.'
        )
    if config.get("effort") is not None:
        if not is_adaptive:
            raise anthropic_refusal("This model does not support the effort parameter.")
        check_effort(config["effort"], model, "output_config.effort")
    if kind == "enabled":
        _check_budget(thinking.get("budget_tokens"), body.get("max_tokens"))
    if kind in ("enabled", "adaptive"):
        _check_beside_thinking(body)


def _check_budget(budget: Any, max_tokens: Any) -> None:
    if not is_count(budget):
        raise backend_refusal("thinking.enabled.budget_tokens: Field required")
    if budget < _FEWEST_THINKING_TOKENS:
        raise recorded("thinking_budget_minimum")
    if is_count(max_tokens) and budget >= max_tokens:
        raise recorded("thinking_budget_vs_max_tokens")


def _check_beside_thinking(body: Json) -> None:
    """What cannot go together with thinking."""
    if object_at(body, "tool_choice").get("type") in ("any", "tool"):
        raise anthropic_refusal("Thinking may not be enabled when tool_choice forces tool use.")
    if body.get("temperature") not in (None, 1):
        raise anthropic_refusal("`temperature` may only be set to 1 when thinking is enabled.")
    top_p = body.get("top_p")
    if top_p is not None and top_p < 0.95:
        raise anthropic_refusal("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if body.get("top_k") is not None:
        raise anthropic_refusal("`top_k` must be unset when thinking is enabled.")
