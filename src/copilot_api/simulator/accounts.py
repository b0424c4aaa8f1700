"""Whose call it is: GitHub tokens of every kind, and the short-lived Copilot tokens they are exchanged for."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from copilot_api.clock import Clock
from copilot_api.simulator.ids import Ids
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.replies import Refusal, load_document, recorded
from copilot_api.simulator.wire import Json

_SIMULATED_LOGIN = re.compile(r"(?:gh[uo]|github_pat)_sim_([A-Za-z0-9-]+)")
_MOST_TOKENS = 10_000

TokenKind = Literal["app", "direct", "classic", "installation", "unknown"]

_KINDS: tuple[tuple[str, TokenKind], ...] = (
    ("ghu_", "app"),
    ("gho_", "direct"),
    ("github_pat_", "direct"),
    ("ghp_", "classic"),
    ("ghs_", "installation"),
)


@dataclass(slots=True)
class CopilotToken:
    """An issued token and its fate."""

    github_token: str
    expires_at: float
    is_expired_by_fault: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent an API call, and the exchanged token it came with, if it did."""

    github_token: str
    login: str
    copilot_token: CopilotToken | None


def kind_of(github_token: str) -> TokenKind:
    """What sort of GitHub token that is, by its prefix."""
    for prefix, kind in _KINDS:
        if github_token.startswith(prefix):
            return kind
    return "unknown"


def login_of(github_token: str) -> str:
    """`octocat`, or the name inside a token such as `ghu_sim_alice_1`."""
    found = _SIMULATED_LOGIN.match(github_token)
    return found[1] if found else "octocat"


def bearer_of(authorization: str) -> str:
    """The credential after `token` or `Bearer`."""
    scheme, _, credential = authorization.partition(" ")
    return credential.strip() if scheme.lower() in {"token", "bearer"} else ""


class Accounts:
    """Issues Copilot tokens and recognises them."""

    def __init__(self, options: SimulatorOptions, ids: Ids) -> None:
        self._clock: Clock = options.clock
        self._plan = options.plan
        self._ids = ids
        self._issued: dict[str, CopilotToken] = {}
        self._pardons: Counter[str] = Counter()
        self.lifetime_seconds = options.token_lifetime_seconds
        self.refresh_in = options.token_refresh_in
        self.exchanges = 0

    def exchange(self, github_token: str, api_url: str) -> Json:
        """A fresh token envelope whose API endpoint is this simulator."""
        self.exchanges += 1
        documents = load_document("token.json")
        plan = {"pro": "individual", "enterprise_token_based": "enterprise"}.get(self._plan, self._plan)
        envelope: Json = documents.get(plan) or documents["free" if plan.startswith("free") else "individual"]
        expires_at = self._clock.now().timestamp() + self.lifetime_seconds
        token = self._mint(github_token, expires_at, envelope)
        if len(self._issued) >= _MOST_TOKENS:
            del self._issued[next(iter(self._issued))]
        self._issued[token] = CopilotToken(github_token, expires_at)
        refresh_in = self.refresh_in if self.refresh_in is not None else max(1, int(self.lifetime_seconds * 5 / 6))
        envelope["endpoints"]["api"] = api_url
        return {**envelope, "expires_at": int(expires_at), "refresh_in": refresh_in, "token": token}

    def _mint(self, github_token: str, expires_at: float, envelope: Json) -> str:
        sku = envelope["sku"]
        proxy = envelope["endpoints"]["proxy"].removeprefix("https://")
        fields = (
            f"tid={self._ids.hex(32)};exp={int(expires_at)};sku={sku};proxy-ep={proxy};st=dotcom;chat=1;cit=1;malfil=1;"
            "editor_preview_features=1;mcp=1;ccr=1;rt=1;8kp=1;ip=203.0.113.7;asn=AS64496"
        )
        return f"{fields}:{hashlib.sha256((github_token + fields).encode()).hexdigest()}"

    def expire_all(self) -> int:
        """Every issued token is expired from now on; how many that were."""
        for token in self._issued.values():
            token.expires_at = 0.0
        return len(self._issued)

    def authenticate(self, authorization: str) -> Caller:
        """The caller behind an API call, or its refusal."""
        bearer = bearer_of(authorization)
        token = self._issued.get(bearer)
        if token is None:
            if kind_of(bearer) != "direct":
                raise recorded("token_invalid")
            return Caller(bearer, login_of(bearer), None)
        caller = Caller(token.github_token, login_of(token.github_token), token)
        if token.expires_at <= self._clock.now().timestamp():
            raise ExpiredToken(caller)
        return caller

    def expire_once(self, caller: Caller) -> bool:
        """Expire the caller's token, unless this call is the repetition of one already refused that way."""
        if self._pardons[caller.github_token] > 0:
            self._pardons[caller.github_token] -= 1
            return False
        if caller.copilot_token:
            caller.copilot_token.expires_at = 0.0
            caller.copilot_token.is_expired_by_fault = True
        self.pardon(caller)
        return True

    def pardon(self, caller: Caller) -> None:
        """The repetition of this call will pass."""
        self._pardons[caller.github_token] += 1


class ExpiredToken(Refusal):
    """The token was good once."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(recorded("token_expired").reply)
        self.caller = caller
