"""`demo`: a gateway to play with, on a throw-away data directory and the built-in simulator."""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from copilot_api.audit.log import AuditLog
from copilot_api.cli.gateway_options import GatewayFlags, gateway_options, make_settings
from copilot_api.cli.simulated import run_simulated
from copilot_api.clock import SystemClock
from copilot_api.config.budgets import parse_budget
from copilot_api.config.paths import DataDirectory
from copilot_api.config.reload import SettingsSource
from copilot_api.config.store import ConfigStore
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.models import KeyPolicy, Tier
from copilot_api.keys.service import KeyService
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.quotas import SqlQuotaRepository
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.upstream.quotas import PREMIUM, QuotaReading
from copilot_api.usage.credits import window_start
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.upkeep import CLOSED_AFTER

_ACTOR = "local:demo"
_DAYS = 14
_ENTITLEMENT = 4000
_ELSEWHERE = 0.12
"""How much more the account uses than goes through the gateway."""
_PEOPLE = (("ada", "openai-python", 60), ("grace", "codex", 90), ("ci", "openai-node", 30))
_POLICIES = {
    "ada": KeyPolicy(rpm=60, tpm=400_000, weight=2, budgets=(parse_budget("credits:day:400"),)),
    "grace": KeyPolicy(budgets=(parse_budget("credits:month:20000"), parse_budget("credits:day:300:observe"))),
    "ci": KeyPolicy(("gpt-4.1", "gpt-5-mini"), rpm=30, max_in_flight=2, observe=("rpm",)),
}
_MODELS = (("gpt-4.1", 0.0, 0), ("claude-sonnet-4.6", 1.0, 300), ("gpt-5-mini", 0.0, 0), ("claude-opus-4.7", 3.0, 500))

_ALIASES: dict[str, dict[str, object]] = {
    "fast": {"upstream": "gpt-5-mini", "note": "For autocomplete and small questions."},
    "smart": {"upstream": "claude-sonnet-4.6", "fallback": ["gpt-4.1"], "note": "What most people want."},
    "deep": {
        "upstream": "claude-opus-4.7",
        "allowed_keys": ["ada", "grace"],
        "default_effort": "high",
        "note": "Expensive: not for the pipeline.",
    },
}
_CONFIGS: tuple[dict[str, object], ...] = (
    {"version": 1, "models": {"fast": {"upstream": "gpt-4.1"}}},
    {
        "version": 1,
        "models": _ALIASES,
        "limits": {"default_key": {"rpm": 240}, "budgets": ["credits:day:2000:observe"]},
        "retention": {"events_days": 120},
    },
)


@click.command
@gateway_options
def command(**flags: Any) -> None:
    """
    Run the gateway on a throw-away data directory, against a simulated GitHub Copilot.

    It comes with sample keys and two weeks of sample usage, and prints a curl line that works. Nothing leaves this
    machine.
    """
    gateway_flags = GatewayFlags(**flags, github_token=None)
    with tempfile.TemporaryDirectory(prefix="copilot-api-demo-") as name:
        directory = DataDirectory(Path(name))
        directory.prepare()
        admin, client, used = _fill(directory)

        def listening(url: str) -> None:
            _introduce(url, admin, client, directory)

        options = SimulatorOptions(
            first_token_seconds=0.3,
            gap_seconds=0.03,
            token_based_billing=True,
            premium_entitlement=_ENTITLEMENT,
            premium_used=used,
        )
        source = SettingsSource(
            directory.config, lambda config: replace(make_settings(gateway_flags, config), is_demo=True)
        )
        run_simulated(source.current, directory, source=source, on_listening=listening, options=options)


def _write_config(directory: DataDirectory, audit: AuditLog) -> None:
    """Sample names for models, written in two steps, so that there is a version to go back to."""
    store, expected = ConfigStore(directory.config, directory.config_history), ""
    for document in _CONFIGS:
        content = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        expected = store.replace(content, expected=expected, actor=_ACTOR, audit=audit).version_hash


def _fill(directory: DataDirectory) -> tuple[str, str, float]:
    """Sample keys and sample usage; the secrets of an admin key and a client key, and the credits used this month."""
    clock = SystemClock()
    database = open_sqlite(directory.database)
    try:
        upgrade(database)
        audit = AuditLog(directory.audit, clock)
        repository = SqlKeyRepository(database, audit)
        _write_config(directory, audit)
        keys = KeyService(repository, KeyChanges(directory.key_stamp), clock)
        admin = keys.issue("demo admin", tier=Tier.ADMIN, actor=_ACTOR)
        issued = {label: keys.issue(label, policy=_POLICIES[label], actor=_ACTOR) for label, _, _ in _PEOPLE}
        ids = {label: key.key.id for label, key in issued.items()}
        now = clock.now()
        events = make_sample_events(ids, now)
        SqlUsageRepository(database).add_events(events)
        upkeep = SqlLedgerUpkeep(database, pause=lambda: None)
        while upkeep.close_day(now - CLOSED_AFTER):
            pass
        readings = make_sample_readings(events, now)
        SqlQuotaRepository(database).record(readings)
        return admin.secret, issued["ada"].secret, readings[-1].used or 0.0
    finally:
        database.close()


def make_sample_events(key_ids: dict[str, str], now: datetime) -> list[UsageEvent]:
    """Two weeks of a small team's calls: busy by day, quiet at night and on weekends, an error now and then."""
    draw = random.Random(20260701)  # noqa: S311 -- samples, the same every time
    events: list[UsageEvent] = []
    for hours in range(_DAYS * 24):
        at = now - timedelta(hours=hours + 1)
        busy = (1.0 if 8 <= at.hour < 19 else 0.08) * (0.15 if at.weekday() >= 5 else 1.0)
        for label, client, most in _PEOPLE:
            events += [
                _make_event(draw, f"{label}{hours}-{number}", at, key_ids[label], client)
                for number in range(round(draw.random() * busy * most / 6))
            ]
    return events


def make_sample_readings(events: Sequence[UsageEvent], now: datetime) -> list[QuotaReading]:
    """How the account's credits stood each hour: what these events cost, and a little that went elsewhere."""
    costs = sorted((datetime.fromisoformat(event.at), event.nano_aiu or 0) for event in events)
    readings: list[QuotaReading] = []
    used, done, resets_at = 0.0, 0, None
    for hours in range(_DAYS * 24, -1, -1):
        at = now - timedelta(hours=hours)
        ends = _next_month(at)
        if ends != resets_at:
            used, resets_at = 0.0, ends
        while done < len(costs) and costs[done][0] <= at:
            if costs[done][0] >= (window_start(ends) or at):
                used += costs[done][1] / NANO_PER_CREDIT * (1 + _ELSEWHERE)
            done += 1
        readings.append(
            QuotaReading(PREMIUM, at, _ENTITLEMENT, round(used, 6), is_token_based=True, resets_at=resets_at)
        )
    return readings


def _next_month(at: datetime) -> datetime:
    """The first of next month, when allowances come back."""
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return datetime(year, month, 1, tzinfo=UTC)


def _make_event(draw: random.Random, name: str, at: datetime, key_id: str, client: str) -> UsageEvent:
    model, multiplier, price = draw.choice(_MODELS)
    is_failed = draw.random() < 0.03
    input_tokens, output_tokens = int(draw.lognormvariate(8.5, 1.0)), int(draw.lognormvariate(5.5, 0.8))
    cached = int(input_tokens * draw.choice((0.0, 0.5, 0.9)))
    is_user = draw.random() < 0.3
    first = draw.lognormvariate(0.0, 0.5)
    nano_aiu = (input_tokens - cached) * price * 1000 + cached * price * 100 + output_tokens * price * 5000
    return UsageEvent(
        request_id=f"req_sample{name}",
        at=(at + timedelta(seconds=draw.random() * 3600)).isoformat(timespec="milliseconds"),
        key_id=key_id,
        identity_id="default",
        client=client,
        endpoint="/v1/chat/completions",
        model=model,
        upstream_model=model,
        upstream_endpoint="/chat/completions",
        stream=True,
        status=502 if is_failed else 200,
        cause=Cause.UPSTREAM_ERROR if is_failed else Cause.OK,
        input_tokens=0 if is_failed else input_tokens,
        output_tokens=0 if is_failed else output_tokens,
        cache_read_tokens=0 if is_failed else cached,
        nano_aiu=0 if is_failed else nano_aiu,
        premium_requests=multiplier if is_user and not is_failed else 0.0,
        initiator="user" if is_user else "agent",
        time_to_first_token=None if is_failed else first,
        duration=first + output_tokens / 80,
        bytes_in=input_tokens * 4,
        bytes_out=output_tokens * 40,
    )


def _introduce(url: str, admin: str, client: str, directory: DataDirectory) -> None:
    body = '{"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": "Say hello."}]}'
    click.echo(
        f"""
  copilot-api demo -- the upstream is a simulator; nothing leaves this machine

  URL         {url}
  admin key   {admin}
  client key  {client}
  data        {directory.path}  (deleted at the end)

  Try it:

  curl -N {url}/v1/chat/completions \\
    -H 'Authorization: Bearer {client}' \\
    -H 'Content-Type: application/json' \\
    -d '{body}'

  Who used how much:

  COPILOT_API_HOME={directory.path} copilot-api usage --since 14d --by key

  Ctrl-C ends it.
"""
    )
