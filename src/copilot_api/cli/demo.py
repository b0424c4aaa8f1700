"""`demo`: a gateway to play with, on a throw-away data directory and the built-in simulator."""

import random
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from copilot_api.audit.log import AuditLog
from copilot_api.cli.gateway_options import GatewayFlags, gateway_options, make_settings
from copilot_api.cli.simulated import run_simulated
from copilot_api.clock import SystemClock
from copilot_api.config.budgets import parse_budget
from copilot_api.config.paths import DataDirectory
from copilot_api.config.schema import ConfigFile
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.models import KeyPolicy, Tier
from copilot_api.keys.service import KeyService
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.usage.models import Cause, UsageEvent

_ACTOR = "local:demo"
_DAYS = 14
_PEOPLE = (("ada", "openai-python", 60), ("grace", "codex", 90), ("ci", "openai-node", 30))
_POLICIES = {
    "ada": KeyPolicy(rpm=60, tpm=400_000, weight=2, budgets=(parse_budget("credits:day:400"),)),
    "grace": KeyPolicy(budgets=(parse_budget("credits:month:20000"), parse_budget("credits:day:300:observe"))),
    "ci": KeyPolicy(("gpt-4.1", "gpt-5-mini"), rpm=30, max_in_flight=2, observe=("rpm",)),
}
_MODELS = (("gpt-4.1", 0.0, 0), ("claude-sonnet-4.6", 1.0, 300), ("gpt-5-mini", 0.0, 0), ("claude-opus-4.7", 3.0, 500))


@click.command
@gateway_options
def command(**flags: Any) -> None:
    """
    Run the gateway on a throw-away data directory, against a simulated GitHub Copilot.

    It comes with sample keys and two weeks of sample usage, and prints a curl line that works. Nothing leaves this
    machine.
    """
    settings = make_settings(GatewayFlags(**flags, github_token=None), ConfigFile())
    with tempfile.TemporaryDirectory(prefix="copilot-api-demo-") as name:
        directory = DataDirectory(Path(name))
        directory.prepare()
        admin, client = _fill(directory)

        def listening(url: str) -> None:
            _introduce(url, admin, client, directory)

        options = SimulatorOptions(first_token_seconds=0.3, gap_seconds=0.03)
        run_simulated(settings, directory, on_listening=listening, options=options)


def _fill(directory: DataDirectory) -> tuple[str, str]:
    """Sample keys and sample usage; the secrets of an admin key and a client key."""
    clock = SystemClock()
    database = open_sqlite(directory.database)
    try:
        upgrade(database)
        repository = SqlKeyRepository(database, AuditLog(directory.audit, clock))
        keys = KeyService(repository, KeyChanges(directory.key_stamp), clock)
        admin = keys.issue("demo admin", tier=Tier.ADMIN, actor=_ACTOR)
        issued = {label: keys.issue(label, policy=_POLICIES[label], actor=_ACTOR) for label, _, _ in _PEOPLE}
        ids = {label: key.key.id for label, key in issued.items()}
        SqlUsageRepository(database).add_events(make_sample_events(ids, clock.now()))
        return admin.secret, issued["ada"].secret
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
