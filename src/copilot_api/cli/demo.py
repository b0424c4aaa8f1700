"""`demo`: a gateway to play with, on a throw-away data directory and the built-in simulator."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from copilot_api.cli.gateway_options import GatewayFlags, gateway_options, make_settings
from copilot_api.cli.simulated import run_simulated
from copilot_api.clock import SystemClock
from copilot_api.config.paths import DataDirectory
from copilot_api.config.reload import SettingsSource
from copilot_api.demo.fill import CAPTURED, CLIENT, fill
from copilot_api.demo.first_calls import make_first_calls
from copilot_api.demo.traffic import keep_calling
from copilot_api.demo.usage import ENTITLEMENT
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.upstream.identities import CredentialSource


@click.command
@gateway_options
@click.option(
    "--still", is_flag=True, help="Make no sample calls: none to capture at the start, and none while it runs."
)
def command(*, still: bool, **flags: Any) -> None:
    """
    Run the gateway on a throw-away data directory, against a simulated GitHub Copilot.

    It comes with a small team's keys and its last two weeks: usage, changes, an audit log, a few captures. It prints
    the address of the admin pages and a curl line that works, and goes on making a few calls a minute. Nothing leaves
    this machine.
    """
    gateway_flags = GatewayFlags(**flags, github_token=None)
    with tempfile.TemporaryDirectory(prefix="copilot-api-demo-") as name:
        directory = DataDirectory(Path(name))
        directory.prepare()
        filled = fill(directory, SystemClock())

        def listening(url: str) -> None:
            _introduce(url, filled.admin, filled.team[CLIENT], directory)
            if not still and source.current.tls_cert is None:  # they are made without TLS
                make_first_calls(url, admin=filled.admin, captured=filled.team[CAPTURED])
                keep_calling(url, filled.team)

        options = SimulatorOptions(
            first_token_seconds=0.3,
            gap_seconds=0.03,
            token_based_billing=True,
            premium_entitlement=ENTITLEMENT,
            premium_used=filled.credits_used,
        )
        source = SettingsSource(
            directory.config, lambda config: replace(make_settings(gateway_flags, config), is_demo=True)
        )
        run_simulated(
            source.current,
            directory,
            source=source,
            on_listening=listening,
            options=options,
            credential=CredentialSource.FILE,
        )


def _introduce(url: str, admin: str, client: str, directory: DataDirectory) -> None:
    body = '{"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": "Say hello."}]}'
    click.echo(
        f"""
  copilot-api demo -- the upstream is a simulator; nothing leaves this machine

  URL         {url}
  pages       {url}/admin   (sign in with the admin key)
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
