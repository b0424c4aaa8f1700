"""`start`: runs the gateway."""

import sys
from typing import Any

import click

from copilot_api import app
from copilot_api.cli.gateway import ask_is_possible, prepared
from copilot_api.cli.gateway_options import GatewayFlags, gateway_options, make_settings
from copilot_api.cli.options import option
from copilot_api.config.binding import bind, shown_url
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory
from copilot_api.config.reload import SettingsSource
from copilot_api.config.settings import Settings
from copilot_api.errors import NoCredential
from copilot_api.upstream.credential_file import CredentialFile
from copilot_api.upstream.identities import CredentialSource, Identity, parse_github_token


@click.command
@gateway_options
@option(
    "--github-token", "-g", variables=["GH_TOKEN"], metavar="TOKEN", help="GitHub token to use instead of logging in."
)
@option("--claude-code", "-c", is_flag=True, help="Print the command that points Claude Code at this gateway.")
@option("--show-token", is_flag=True, help="Print the GitHub token that is used.")
@option(
    "--upstream",
    type=click.Choice(["copilot", "simulator"]),
    default="copilot",
    show_default=True,
    help="Talk to GitHub Copilot, or to the built-in simulator of it.",
)
def command(*, claude_code: bool, show_token: bool, upstream: str, **flags: Any) -> None:
    """Run the gateway."""
    directory = DataDirectory.locate(environment())
    directory.prepare()
    gateway_flags = GatewayFlags(**flags)
    source = SettingsSource(directory.config, lambda config: make_settings(gateway_flags, config))
    settings = source.current
    if settings.is_approval_manual and not ask_is_possible():
        raise click.UsageError("--manual asks in the terminal, and there is none")
    if upstream == "simulator":
        from copilot_api.cli.simulated import run_simulated

        run_simulated(settings, directory, source=source, on_listening=_follow_up(claude_code))
        return
    identity = find_identity(settings, directory)
    if identity is None and sys.stdin.isatty():
        from copilot_api.cli.auth import log_in

        log_in(settings, directory)
        identity = find_identity(settings, directory)
    if identity is None:
        raise NoCredential(
            "there is no GitHub credential, and no terminal to log in with",
            hint="run 'copilot-api auth login' first, or give --github-token or GH_TOKEN",
        )
    if show_token:
        click.echo(f"GitHub token: {identity.github_token}", err=True)
    sockets = bind(settings.host, settings.port)
    url = shown_url(settings.host, sockets[0].getsockname()[1], is_tls=settings.tls_cert is not None)
    with prepared(settings, directory, identity, source=source, on_listening=_follow_up(claude_code)) as surroundings:
        app.run(settings, surroundings, sockets, url)


def find_identity(settings: Settings, directory: DataDirectory) -> Identity | None:
    """The identity to use: the token that was given, else the one in the data directory."""
    given = settings.upstream.github_token
    if given:
        return Identity(parse_github_token(given), CredentialSource.FLAG)
    return CredentialFile(directory.github_token).read()


def _follow_up(claude_code: bool) -> Any:
    def listening(url: str) -> None:
        if claude_code:
            click.echo(
                f"\nANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=<a client key> "
                "ANTHROPIC_MODEL=claude-sonnet-4.6 claude\n",
                err=True,
            )

    return listening
