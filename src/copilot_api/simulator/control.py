"""The simulator's own interface under `/_sim`: what arrived, how it went, and how the next calls shall go."""

from collections.abc import Callable
from typing import Any, get_args

from copilot_api.simulator.device import Outcome
from copilot_api.simulator.faults import describe_faults, find_fault, tune
from copilot_api.simulator.http import Outgoing, Request
from copilot_api.simulator.replies import Refusal, json_reply
from copilot_api.simulator.simulation import Simulation
from copilot_api.simulator.wire import Json, is_count, is_object

PREFIX = "/_sim"
_Control = Callable[[Simulation, Request], Json]


def answer_control(simulation: Simulation, request: Request) -> Outgoing:
    """One call of the control interface."""
    control = _CONTROLS.get((request.method, request.path.removeprefix(PREFIX)))
    if control is None:
        raise Refusal(json_reply({"error": f"no such control: {request.method} {request.path}"}, 404))
    return Outgoing(json_reply(control(simulation, request)))


def _body(request: Request) -> Json:
    return request.json_object() if request.body else {}


def _refuse(name: str, expected: str) -> Refusal:
    return Refusal(json_reply({"error": f"{name} must be {expected}"}, 400))


def _number(body: Json, name: str, default: float) -> float:
    value: Any = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise _refuse(name, "a number that is not negative")
    return float(value)


def _whole_number(body: Json, name: str, default: int, least: int = 0) -> int:
    value: Any = body.get(name)
    if value is None:
        return default
    if not is_count(value) or value < least:
        raise _refuse(name, f"a whole number from {least}")
    return value


def _text(body: Json, name: str) -> str | None:
    value: Any = body.get(name)
    if value is not None and not isinstance(value, str):
        raise _refuse(name, "a string")
    return value or None


def _list_requests(simulation: Simulation, _: Request) -> Json:
    return {"requests": simulation.log.list_requests()}


def _clear_requests(simulation: Simulation, _: Request) -> Json:
    simulation.log.clear()
    return {"requests": []}


def _show_stats(simulation: Simulation, _: Request) -> Json:
    return simulation.stats.render(simulation.accounts.exchanges)


def _reset_stats(simulation: Simulation, request: Request) -> Json:
    simulation.stats.reset()
    simulation.accounts.exchanges = 0
    return _show_stats(simulation, request)


def _set_pace(simulation: Simulation, request: Request) -> Json:
    body, pace = _body(request), simulation.pace
    pace.first_token_seconds = _number(body, "first_token_seconds", pace.first_token_seconds)
    pace.gap_seconds = _number(body, "gap_seconds", pace.gap_seconds)
    pace.tokens = _whole_number(body, "tokens", pace.tokens, least=1)
    return _show_pace(simulation, request)


def _show_pace(simulation: Simulation, _: Request) -> Json:
    pace = simulation.pace
    return {"first_token_seconds": pace.first_token_seconds, "gap_seconds": pace.gap_seconds, "tokens": pace.tokens}


def _show_faults(simulation: Simulation, _: Request) -> Json:
    return {**describe_faults(), "rules": simulation.rules.describe()}


def _set_fault(simulation: Simulation, request: Request) -> Json:
    body = _body(request)
    name, endpoint = _text(body, "name"), _text(body, "endpoint")
    if name is None:
        simulation.rules.clear(endpoint)
        return {"rules": simulation.rules.describe()}
    fault = find_fault(name)
    if fault is None:
        raise _refuse("name", "one of those that GET /_sim/faults lists")
    rate = _number(body, "rate", 1.0)
    count = None if body.get("count") is None else _whole_number(body, "count", 1, least=1)
    seconds = None if body.get("seconds") is None else _number(body, "seconds", 0.0)
    after = None if body.get("after") is None else _whole_number(body, "after", 0)
    tuned = tune(fault, seconds=seconds, after=after, headers=_headers(body))
    simulation.rules.set_rule(tuned, endpoint=endpoint, rate=rate, count=count)
    return {"rules": simulation.rules.describe()}


def _headers(body: Json) -> dict[str, str]:
    """Header overrides of a fault; names and values must be fit for the wire."""
    value: Any = body.get("headers") or {}
    if not is_object(value):
        raise _refuse("headers", "an object of strings")
    headers = {str(name).lower(): str(text) for name, text in value.items()}
    if not all(f"{name}{text}".isascii() and f"{name}{text}".isprintable() for name, text in headers.items()):
        raise _refuse("headers", "an object of printable strings")
    return headers


def _set_token(simulation: Simulation, request: Request) -> Json:
    body, accounts = _body(request), simulation.accounts
    if "lifetime_seconds" in body:
        accounts.lifetime_seconds = _number(body, "lifetime_seconds", accounts.lifetime_seconds)
        accounts.refresh_in = None
    if body.get("refresh_in") is not None:
        accounts.refresh_in = _whole_number(body, "refresh_in", 1)
    return {"lifetime_seconds": accounts.lifetime_seconds, "refresh_in": accounts.refresh_in}


def _expire_tokens(simulation: Simulation, _: Request) -> Json:
    return {"expired": simulation.accounts.expire_all()}


def _set_device(simulation: Simulation, request: Request) -> Json:
    body, device = _body(request), simulation.device
    device.pending_polls = _whole_number(body, "pending_polls", device.pending_polls, least=-1)
    device.interval_seconds = _whole_number(body, "interval_seconds", device.interval_seconds)
    device.expires_in = _whole_number(body, "expires_in", device.expires_in)
    outcome: Any = body.get("outcome", device.outcome)
    if outcome not in get_args(Outcome):
        raise _refuse("outcome", "one of approve, deny, expire")
    device.outcome = outcome
    device.login = _text(body, "login") if "login" in body else device.login
    return {
        "pending_polls": device.pending_polls,
        "interval_seconds": device.interval_seconds,
        "expires_in": device.expires_in,
        "outcome": device.outcome,
        "login": device.login,
    }


def _set_quota(simulation: Simulation, request: Request) -> Json:
    body, quotas = _body(request), simulation.quotas
    quotas.entitlement = _whole_number(body, "entitlement", quotas.entitlement, least=-1)
    permitted: Any = body.get("overage_permitted")
    if permitted is not None:
        quotas.overage_permitted = bool(permitted)
    if body.get("token_based_billing") is not None:
        quotas.is_token_based = bool(body["token_based_billing"])
    if body.get("used") is not None:
        quotas.set_used(_number(body, "used", 0.0))
    return {
        "entitlement": quotas.entitlement,
        "used": quotas.initially_used,
        "overage_permitted": quotas.overage_permitted,
        "token_based_billing": quotas.is_token_based,
    }


def _reset(simulation: Simulation, _: Request) -> Json:
    simulation.reset()
    return {"reset": True}


_CONTROLS: dict[tuple[str, str], _Control] = {
    ("GET", "/requests"): _list_requests,
    ("DELETE", "/requests"): _clear_requests,
    ("GET", "/stats"): _show_stats,
    ("DELETE", "/stats"): _reset_stats,
    ("GET", "/pace"): _show_pace,
    ("POST", "/pace"): _set_pace,
    ("GET", "/faults"): _show_faults,
    ("POST", "/faults"): _set_fault,
    ("POST", "/token"): _set_token,
    ("POST", "/expire-tokens"): _expire_tokens,
    ("POST", "/device"): _set_device,
    ("POST", "/quota"): _set_quota,
    ("POST", "/reset"): _reset,
}
