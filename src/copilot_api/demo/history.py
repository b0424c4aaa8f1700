"""What was done with the gateway in two weeks: keys made and ended, the configuration changed, a key captured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import msgspec

from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.config.budgets import parse_budget
from copilot_api.config.paths import DataDirectory
from copilot_api.config.store import ConfigStore
from copilot_api.demo.clock import SetClock
from copilot_api.demo.people import PEOPLE, Person
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.models import KeyPolicy, Tier
from copilot_api.keys.repository import KeyRepository
from copilot_api.keys.service import IssuedKey, KeyService
from copilot_api.upstream.brake import Stop
from copilot_api.upstream.identities import DEFAULT_IDENTITY
from copilot_api.upstream.stops import StopRepository

LOCAL = "local:demo"
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0"
_DESK = Origin("10.20.0.14", _BROWSER)
_STRANGER = Origin("10.20.7.81", "python-httpx/0.28.1")
_CI = Origin("10.20.3.5", "OpenAI/JS 6.9.1")
_CHANGED_LATER = ("ada", "linus")
"""Whose key was made without a policy, which came days after."""

_FAST: dict[str, object] = {"upstream": "gpt-5-mini", "note": "For autocomplete and small questions."}
_SMART: dict[str, object] = {
    "upstream": "claude-sonnet-4.6",
    "fallback": ["gpt-4.1"],
    "note": "What most people want.",
}
_DEEP: dict[str, object] = {
    "upstream": "claude-opus-4.8",
    "allowed_keys": ["ada", "grace"],
    "default_effort": "high",
    "note": "Expensive: not for the pipeline.",
}
_BUDGETS = ["credits:day:2000:observe"]
_CONFIGS: tuple[tuple[timedelta, dict[str, object]], ...] = (
    (timedelta(days=13, hours=20), {"version": 1, "models": {"fast": {"upstream": "gpt-4.1"}}}),
    (timedelta(days=8, hours=22), {"version": 1, "models": {"fast": _FAST, "smart": _SMART, "deep": _DEEP}}),
    (
        timedelta(days=6, hours=1),
        {
            "version": 1,
            "models": {"fast": _FAST, "smart": _SMART, "deep": _DEEP},
            "limits": {"default_key": {"rpm": 240}, "budgets": _BUDGETS},
        },
    ),
    (
        timedelta(days=4, hours=3),
        {
            "version": 1,
            "models": {"fast": _FAST, "smart": _SMART, "deep": _DEEP},
            "limits": {"default_key": {"rpm": 24}, "budgets": _BUDGETS},
        },
    ),
    (
        timedelta(days=1, hours=2),
        {
            "version": 1,
            "models": {"fast": _FAST, "smart": _SMART, "deep": _DEEP},
            "limits": {"default_key": {"rpm": 240}, "budgets": _BUDGETS},
            "retention": {"events_days": 120, "traces_days": 2},
        },
    ),
)
_MISTAKE = 3
"""Which of them was taken back, and how soon."""
_TAKEN_BACK_AFTER = timedelta(minutes=11)


@dataclass(frozen=True, slots=True)
class Team:
    """The keys that came of it."""

    admin: IssuedKey
    keys: Mapping[str, IssuedKey]
    """Those that calls were made with, by label."""


class History:
    """Does what was done, in the order in which it was, each at its time."""

    def __init__(
        self,
        directory: DataDirectory,
        make_keys: Callable[[AuditLog], KeyRepository],
        make_stops: Callable[[AuditLog], StopRepository],
        now: datetime,
    ) -> None:
        self._now = now
        self._clock = SetClock(now)
        self.audit = AuditLog(directory.audit, self._clock)
        self._keys = KeyService(make_keys(self.audit), KeyChanges(directory.key_stamp), self._clock)
        self._config = ConfigStore(directory.config, directory.config_history, self._clock)
        self._make_stops = make_stops
        self._steps: list[tuple[timedelta, Callable[[], object]]] = []
        self._issued: dict[str, IssuedKey] = {}

    def make(self) -> Team:
        """Do all of it."""
        self._plan_keys()
        self._plan_config()
        self._plan_the_rest()
        for ago, do in sorted(self._steps, key=lambda step: step[0], reverse=True):
            self._clock.at = self._now - ago
            do()
        self._clock.at = self._now
        kept = {person.label: self._issued[person.label] for person in PEOPLE}
        return Team(self._issued["demo admin"], kept)

    def _at(self, ago: timedelta, do: Callable[[], object]) -> None:
        self._steps.append((ago, do))

    def _id(self, label: str) -> str:
        return self._issued[label].key.id

    def _plan_keys(self) -> None:
        def issue(
            label: str, tier: Tier = Tier.CLIENT, policy: KeyPolicy | None = None, days: int | None = None
        ) -> None:
            ends = None if days is None else self._clock.now() + timedelta(days=days)
            actor = self._id("demo admin") if self._issued else LOCAL
            self._issued[label] = self._keys.issue(label, tier=tier, policy=policy, expires_at=ends, actor=actor)

        self._at(timedelta(days=14, hours=6), lambda: issue("demo admin", Tier.ADMIN))
        for number, person in enumerate(PEOPLE):
            policy = replace(person.policy, rpm=None, budgets=()) if person.label in _CHANGED_LATER else person.policy
            self._at(
                timedelta(days=14, hours=5, minutes=-7 * number),
                partial(issue, person.label, policy=policy),
            )
        for label, days in (("old-laptop", None), ("contractor", 10)):
            self._at(timedelta(days=14, hours=1), partial(issue, label, days=days))
        later = [person for person in PEOPLE if person.label in _CHANGED_LATER]
        for number, person in enumerate(later):
            self._at(timedelta(days=10, hours=2, minutes=-number), partial(self._change, person))
        self._at(timedelta(days=9, hours=1), self._revoke_laptop)
        self._at(timedelta(days=5, hours=3), self._rotate_ci)

    def _change(self, person: Person) -> None:
        admin = self._id("demo admin")
        self._keys.update(self._id(person.label), policy=person.policy, actor=admin, origin=_DESK)

    def _revoke_laptop(self) -> None:
        self._keys.revoke(self._id("old-laptop"), actor=self._id("demo admin"), origin=_DESK)

    def _rotate_ci(self) -> None:
        day = 86_400.0
        self._issued["ci"] = self._keys.rotate(
            self._id("ci"), overlap_seconds=day, actor=self._id("demo admin"), origin=_DESK
        )

    def _plan_config(self) -> None:
        def write(document: dict[str, object]) -> None:
            content = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
            expected = self._config.read_content()[1]
            actor = self._id("demo admin")
            self._config.replace(content, expected=expected, actor=actor, audit=self.audit, origin=_DESK)

        for ago, document in _CONFIGS:
            self._at(ago, partial(write, document))
        self._at(_CONFIGS[_MISTAKE][0] - _TAKEN_BACK_AFTER, self._roll_back)

    def _roll_back(self) -> None:
        newest = self._config.history()[0]
        self._config.rollback(newest.id, actor=self._id("demo admin"), audit=self.audit)

    def _plan_the_rest(self) -> None:
        """What the gateway itself puts on record while it runs."""
        sign = self._sign
        used: dict[str, object] = {"count": 14, "reason": "the API key was revoked"}
        self._at(timedelta(days=8, hours=20), lambda: sign("unknown", Action.KEY_REFUSED, "sha256:3f9a01c7", used, _CI))
        guessed: dict[str, object] = {"reason": "the API key is not valid", "purpose": "login"}
        for minute in range(4):
            self._at(
                timedelta(days=3, hours=6, minutes=-minute),
                lambda: sign("unknown", Action.LOGIN_FAILED, "sha256:a41be20d", guessed, _STRANGER),
            )
        for days in (12.2, 6.05, 3.9, 2.1, 1.1):
            self._at(
                timedelta(days=days),
                lambda: sign(
                    self._id("demo admin"), Action.LOGIN_SUCCEEDED, self._id("demo admin"), {"tier": "admin"}, _DESK
                ),
            )
        reason, hour = "tool calls of Codex fail since Monday", 3600.0
        self._at(
            timedelta(days=2, hours=3),
            lambda: self._keys.start_capture(
                self._id("grace"), reason, 2 * hour, actor=self._id("demo admin"), origin=_DESK
            ),
        )
        self._at(
            timedelta(days=2, hours=2),
            lambda: self._keys.stop_capture(self._id("grace"), actor=self._id("demo admin"), origin=_DESK),
        )
        self._at(timedelta(days=11, hours=9), self._stop)
        self._at(timedelta(days=11, hours=8, minutes=17), self._resume)
        file: dict[str, object] = {"file": "usage.csv", "group": "key"}
        self._at(
            timedelta(days=1, hours=1),
            lambda: sign(self._id("demo admin"), Action.USAGE_EXPORTED, "usage", file, _DESK),
        )

    def _stop(self) -> None:
        reason = "GitHub flagged unusual use of this account"
        event = AuditEvent("gateway", Action.IDENTITY_STOPPED, DEFAULT_IDENTITY, {"reason": reason})
        self._make_stops(self.audit).add_stop(DEFAULT_IDENTITY, Stop(self._clock.now(), reason), event)

    def _resume(self) -> None:
        admin = self._id("demo admin")
        event = AuditEvent(admin, Action.IDENTITY_RESUMED, DEFAULT_IDENTITY, {}, _DESK)
        self._make_stops(self.audit).remove_stop(DEFAULT_IDENTITY, event)

    def _sign(self, actor: str, action: Action, target: str, detail: dict[str, object], origin: Origin) -> None:
        self.audit.append(AuditEvent(actor, action, target, detail, origin))


def set_near_its_budget(keys: KeyService, key_id: str, credits_this_week: float, actor: str) -> None:
    """Give a key a budget for a week of which most is used."""
    amount = max(50, round(credits_this_week / 0.86, -1))
    keys.update(key_id, policy=KeyPolicy(budgets=(parse_budget(f"credits:week:{amount:.0f}"),)), actor=actor)
