"""The Copilot API: the catalog and its policies, auto mode, and the calls that models answer."""

import re
from dataclasses import replace

from copilot_api.simulator.accounts import Caller, ExpiredToken
from copilot_api.simulator.answers import Answer, compose
from copilot_api.simulator.calls import ModelCall, Renderer
from copilot_api.simulator.catalog import CHAT, COUNT_TOKENS, EMBEDDINGS, MESSAGES, RESPONSES, Model
from copilot_api.simulator.chat import ChatRenderer
from copilot_api.simulator.chat_checks import check_chat
from copilot_api.simulator.checks import check_prompt_size, check_vision, limit_of
from copilot_api.simulator.conversation import Prompt, read_prompt
from copilot_api.simulator.embeddings import answer_embeddings
from copilot_api.simulator.faults import EXPIRY, Fault, find_fault
from copilot_api.simulator.http import Outgoing, Request, streamed
from copilot_api.simulator.markers import Script, read_script
from copilot_api.simulator.messages import MessagesRenderer
from copilot_api.simulator.messages_checks import check_messages, read_betas
from copilot_api.simulator.prices import NANO_PER_CREDIT, render_copilot_usage
from copilot_api.simulator.replies import (
    Refusal,
    as_plain_text,
    gateway_refusal,
    json_reply,
    recorded,
    recorded_errors,
    text_reply,
)
from copilot_api.simulator.responses import ResponsesRenderer
from copilot_api.simulator.responses_checks import check_responses
from copilot_api.simulator.simulation import Simulation
from copilot_api.simulator.wire import Json, object_at

MODEL_CALLS = frozenset({CHAT, RESPONSES, MESSAGES, EMBEDDINGS})

_RENDERERS: dict[str, Renderer] = {CHAT: ChatRenderer(), RESPONSES: ResponsesRenderer(), MESSAGES: MessagesRenderer()}
_OLDEST_API_VERSION = "2025-04-01"
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")


def authenticate(simulation: Simulation, request: Request) -> Caller:
    """The caller, with headers that are recent enough; a directly used GitHub token may leave them out."""
    caller = simulation.accounts.authenticate(request.header("authorization"))
    version = request.header("x-github-api-version")
    is_absent = not version and caller.copilot_token is not None
    if is_absent or (_API_VERSION.fullmatch(version) and version < _OLDEST_API_VERSION):
        raise recorded("client_too_old")
    if caller.copilot_token is not None and not request.header("editor-version"):
        raise Refusal(text_reply("bad request: missing Editor-Version header for IDE auth\n", 400))
    return caller


def list_models(simulation: Simulation, request: Request) -> Outgoing:
    """`GET /models`."""
    authenticate(simulation, request)
    return Outgoing(json_reply(simulation.catalog.document))


def set_policy(simulation: Simulation, request: Request, model_id: str) -> Outgoing:
    """`POST /models/{id}/policy`."""
    authenticate(simulation, request)
    state = request.json_object().get("state")
    if state not in ("enabled", "disabled"):
        raise gateway_refusal("Invalid value for 'state'.", param="state")
    if not simulation.catalog.set_policy(model_id, str(state)):
        raise recorded("not_found")
    return Outgoing(json_reply({}))


def open_session(simulation: Simulation, request: Request) -> Outgoing:
    """`POST /models/session`: what auto mode would pick."""
    authenticate(simulation, request)
    models = ["gpt-5-mini", "gpt-5.3-codex", "claude-haiku-4.5"]
    answer = {
        "available_models": models,
        "selected_model": "gpt-5.3-codex",
        "session_token": f"eyJhbGciOiJIUzI1NiJ9.{simulation.ids.hex(40)}.{simulation.ids.hex(43)}",
        "expires_at": int(simulation.clock.now().timestamp()) + 3600,
        "discounted_costs": dict.fromkeys(models, 0.1),
    }
    return Outgoing(json_reply(answer))


def ping(_: Simulation, __: Request) -> Outgoing:
    """`GET /_ping`."""
    return Outgoing(text_reply("OK\n"))


def count_message_tokens(simulation: Simulation, request: Request) -> Outgoing:
    """`POST /v1/messages/count_tokens`."""
    authenticate(simulation, request)
    body = request.json_object()
    model = simulation.catalog.get(body.get("model"), COUNT_TOKENS)
    prompt = read_prompt(MESSAGES, body)
    check_vision(prompt, model, request.headers)
    betas = read_betas(request.headers.get("anthropic-beta"))
    check_messages(body, model, betas, simulation.options.messages_backend, is_counting=True)
    return Outgoing(json_reply({"input_tokens": prompt.input_tokens}))


def embed_texts(simulation: Simulation, request: Request) -> Outgoing:
    """`POST /embeddings`."""
    caller = authenticate(simulation, request)
    body = request.json_object()
    fault = simulation.rules.pick(request.path, is_model_call=True)
    _act_on(fault, caller, simulation)
    model = simulation.catalog.get(body.get("model"), EMBEDDINGS)
    answer = answer_embeddings(body, model)
    return Outgoing(json_reply(answer, headers=simulation.quotas.headers(caller.login)), fault=fault)


def converse(simulation: Simulation, request: Request) -> Outgoing:
    """The three conversation endpoints: who calls, what goes wrong, what is refused, what is said."""
    try:
        return _converse(simulation, request)
    except Refusal as refusal:
        if request.path != RESPONSES or isinstance(refusal, FaultRefusal):
            raise
        raise Refusal(as_plain_text(refusal.reply)) from refusal


def _converse(simulation: Simulation, request: Request) -> Outgoing:
    caller = _authenticate_conversation(simulation, request)
    body = request.json_object()
    prompt = read_prompt(request.path, body)
    script = read_script(prompt)
    fault = _find_scripted_fault(script) or simulation.rules.pick(request.path, is_model_call=True)
    fault = _act_on(fault, caller, simulation)
    model = simulation.catalog.get(body.get("model"), request.path)
    _check(simulation, request, body, model, prompt)
    _charge(simulation, request, caller, model)
    answer = _compose(simulation, request, body, model, prompt, script)
    _charge_tokens(simulation, caller, model, answer)
    shape = fault.name if fault and fault.kind == "shape" else None
    created = int(simulation.clock.now().timestamp())
    if shape == "incomplete":
        half = answer.pieces[: max(1, len(answer.pieces) // 2)]
        answer = replace(answer, pieces=half, call=None, argument_pieces=(), stop="length")
    call = ModelCall(body, model, answer, shape, created, simulation.ids, simulation.options.messages_backend)
    headers = simulation.quotas.headers(caller.login)
    renderer = _RENDERERS[request.path]
    if body.get("stream") is True:
        return streamed(renderer.stream(call), headers, fault)
    if shape == "midstream-error":
        raise recorded("internal")
    pieces = len(answer.reasoning) + len(answer.pieces) + len(answer.argument_pieces)
    return Outgoing(json_reply(renderer.whole(call), headers=headers), fault=fault, pieces=pieces)


class FaultRefusal(Refusal):
    """A reply that a fault asked for; it goes out as it was recorded."""


def _authenticate_conversation(simulation: Simulation, request: Request) -> Caller:
    """Whoever meets a token that `401-expired` took away gets through with the next one, like the call that took it."""
    try:
        return authenticate(simulation, request)
    except ExpiredToken as expired:
        token = expired.caller.copilot_token
        if token and token.is_expired_by_fault:
            script = read_script(read_prompt(request.path, request.json_object()))
            if script.fault == EXPIRY or simulation.rules.expires_tokens(request.path):
                simulation.accounts.pardon(expired.caller)
        raise


def _find_scripted_fault(script: Script) -> Fault | None:
    if script.fault is None:
        return None
    fault = find_fault(script.fault)
    if fault is None:
        raise gateway_refusal(f"the simulator knows no fault of that name: {script.fault}")
    return fault


def _act_on(fault: Fault | None, caller: Caller, simulation: Simulation) -> Fault | None:
    """Refuse if the fault is a refusal; what is left of it concerns the answer."""
    if fault is None:
        return None
    if fault.kind == "expiry":
        if not simulation.accounts.expire_once(caller):
            return None
        simulation.stats.faults[fault.name] += 1
        raise FaultRefusal(recorded_errors()["token_expired"])
    simulation.stats.faults[fault.name] += 1
    if fault.reply is not None:
        headers = dict(simulation.quotas.headers(caller.login)) if fault.reply.status == 402 else {}
        raise FaultRefusal(fault.reply.with_headers(headers) if headers else fault.reply)
    return fault


def _check(simulation: Simulation, request: Request, body: Json, model: Model, prompt: Prompt) -> None:
    check_vision(prompt, model, request.headers)
    if request.path == CHAT:
        check_chat(body, model)
    elif request.path == RESPONSES:
        check_responses(body, model)
    else:
        betas = read_betas(request.headers.get("anthropic-beta"))
        check_messages(body, model, betas, simulation.options.messages_backend, is_counting=False)
    check_prompt_size(request.path, prompt, model)


def _charge(simulation: Simulation, request: Request, caller: Caller, model: Model) -> None:
    """
    A human's turn costs premium interactions; without the header every call is one. Billed by tokens, every call costs
    what its tokens do, and is refused when nothing is left.
    """
    quotas = simulation.quotas
    is_agents = request.header("x-initiator").lower() == "agent"
    if not model.multiplier or (is_agents and not quotas.is_token_based):
        return
    if quotas.is_exhausted(caller.login):
        reset = quotas.resets_at().strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {**quotas.headers(caller.login), "retry-after": reset}
        raise Refusal(recorded_errors()["quota_exceeded"].with_headers(headers))
    if not quotas.is_token_based:
        quotas.spend(caller.login, model.multiplier)


def _charge_tokens(simulation: Simulation, caller: Caller, model: Model, answer: Answer) -> None:
    if simulation.quotas.is_token_based:
        nano_aiu: int = render_copilot_usage(model, answer.tokens)["total_nano_aiu"]
        simulation.quotas.spend(caller.login, nano_aiu / NANO_PER_CREDIT)


def _compose(
    simulation: Simulation, request: Request, body: Json, model: Model, prompt: Prompt, script: Script
) -> Answer:
    uses_cache = not model.is_claude or b"cache_control" in request.body
    cached = simulation.cache.look_up(prompt, model.id, writes=model.is_claude) if uses_cache else (0, 0)
    return compose(
        script,
        prompt,
        length=simulation.pace.tokens,
        limit=limit_of(body.get("max_output_tokens"), body.get("max_completion_tokens"), body.get("max_tokens")),
        reasons=_reasons(request.path, body, model),
        preface=request.path == CHAT and model.is_claude,
        cached=cached,
    )


def _reasons(path: str, body: Json, model: Model) -> bool:
    """Whether the answer comes with reasoning: when asked for, and always on Responses unless refused."""
    if path == MESSAGES:
        return object_at(body, "thinking").get("type") in ("enabled", "adaptive")
    if path == RESPONSES:
        return bool(model.efforts) and object_at(body, "reasoning").get("effort") != "none"
    if body.get("thinking_budget"):
        return "max_thinking_budget" in model.supports
    return bool(model.efforts) and body.get("reasoning_effort") not in (None, "none")
