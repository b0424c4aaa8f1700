"""GitHub's device flow: codes that are pending for some polls, then approved, denied or expired."""

from dataclasses import dataclass
from typing import Literal

from copilot_api.simulator.ids import Ids
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.replies import load_document
from copilot_api.simulator.wire import Json, text_at

_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
_SLOW_DOWN_SECONDS = 5
_EARLY = 0.9  # a client's timer may be a little fast

Outcome = Literal["approve", "deny", "expire"]


@dataclass(slots=True)
class _Flow:
    client_id: str
    scope: str
    expires_at: float
    interval: int
    polls: int = 0
    polled_at: float | None = None


class DeviceFlows:
    """The device codes that are open, and how polls end."""

    def __init__(self, options: SimulatorOptions, ids: Ids) -> None:
        self._clock = options.clock
        self._ids = ids
        self._flows: dict[str, _Flow] = {}
        self._bodies: Json = load_document("token.json")["device_flow"]
        self.pending_polls = options.device_pending_polls
        self.interval_seconds = options.device_interval_seconds
        self.expires_in = options.device_expires_in
        self.outcome: Outcome = "approve"
        self.login: str | None = None

    def start(self, fields: Json) -> Json | None:
        """A new device code, or None for a client id GitHub does not know."""
        client_id = text_at(fields, "client_id")
        if not client_id.startswith(("Iv1.", "Iv23", "Ov23")):
            return None
        device_code = self._ids.hex(40)
        expires_at = self._clock.monotonic() + self.expires_in
        self._flows[device_code] = _Flow(client_id, text_at(fields, "scope"), expires_at, self.interval_seconds)
        code = self._ids.name("", 8).upper()
        answer = {**self._bodies["device_code"], "device_code": device_code, "user_code": f"{code[:4]}-{code[4:]}"}
        return {**answer, "expires_in": self.expires_in, "interval": self.interval_seconds}

    def poll(self, fields: Json) -> Json:
        """What one poll answers; always with status 200."""
        if text_at(fields, "grant_type") != _GRANT_TYPE:
            return {"error": "unsupported_grant_type", "error_description": "The grant type is not supported."}
        device_code = text_at(fields, "device_code")
        flow = self._flows.get(device_code)
        if flow is None or flow.client_id != text_at(fields, "client_id"):
            return self._body("poll_bad_device_code")
        if self._is_too_fast(flow):
            return {**self._body("poll_slow_down"), "interval": flow.interval}
        flow.polls += 1
        return self._decide(device_code, flow)

    def _is_too_fast(self, flow: _Flow) -> bool:
        now = self._clock.monotonic()
        is_early = flow.polled_at is not None and now - flow.polled_at < flow.interval * _EARLY
        flow.polled_at = now
        if is_early:
            flow.interval += _SLOW_DOWN_SECONDS
        return is_early

    def _decide(self, device_code: str, flow: _Flow) -> Json:
        if self.outcome == "expire" or self._clock.monotonic() >= flow.expires_at:
            return self._body("poll_expired")
        if self.pending_polls < 0 or flow.polls <= self.pending_polls:
            return self._body("poll_pending")
        del self._flows[device_code]
        if self.outcome == "deny":
            return self._body("poll_denied")
        is_app = flow.client_id.startswith("Iv")
        prefix = "ghu_" if is_app else "gho_"
        token = self._ids.name(prefix + (f"sim_{self.login}_" if self.login else ""), 36)
        return {"access_token": token, "token_type": "bearer", "scope": "" if is_app else flow.scope}

    def _body(self, name: str) -> Json:
        return dict(self._bodies[name])
