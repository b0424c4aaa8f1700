"""`auth`: log in to GitHub and out again, and show which identity is used."""

import asyncio
import time

import click

from copilot_api.cli.options import json_option, option
from copilot_api.cli.output import print_json
from copilot_api.config.binding import without_credentials
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory
from copilot_api.config.settings import Settings, UpstreamSettings
from copilot_api.errors import GatewayError, NoCredential
from copilot_api.upstream.credential_file import CredentialFile
from copilot_api.upstream.device_login import log_in as device_log_in
from copilot_api.upstream.github import GitHub, open_session
from copilot_api.upstream.hosts import AccountType, Hosts
from copilot_api.upstream.identities import Identity, parse_github_token


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Log in to GitHub and out again; show which identity is used. Alone it logs in."""
    if context.invoked_subcommand is None:
        context.invoke(login)


@command.command
@option("--show-token", is_flag=True, help="Print the token that GitHub gives.")
@option("--verbose", "-v", is_flag=True, help="Say which hosts are used.")
def login(*, show_token: bool = False, verbose: bool = False) -> None:
    """Log in with a code that you type on GitHub's page."""
    directory = DataDirectory.locate(environment())
    directory.prepare()
    settings = upstream_settings()
    if verbose:
        github, api = settings.upstream.github_url, settings.upstream.github_api_url
        click.echo(f"GitHub: {without_credentials(github)}, API: {without_credentials(api)}", err=True)
    log_in(settings, directory)
    if show_token:
        click.echo(directory.github_token.read_text().strip())


@command.command
def logout() -> None:
    """Forget the GitHub credential. To withdraw it at GitHub too: Settings, Applications, GitHub Copilot."""
    directory = DataDirectory.locate(environment())
    directory.prepare()
    if directory.github_token.exists():
        directory.github_token.unlink()
        click.echo("logged out: the credential is deleted here")
    else:
        click.echo("there was no credential")


@command.command
@option(
    "--github-token",
    "-g",
    variables=["GH_TOKEN"],
    metavar="TOKEN",
    help="GitHub token to look at instead of the stored one.",
)
@json_option
def status(*, github_token: str | None, as_json: bool) -> int:
    """Show which identity is used and whether Copilot accepts it."""
    directory = DataDirectory.locate(environment())
    directory.prepare()
    settings = upstream_settings(github_token)
    identity = require_identity(settings, directory)
    login_name, failure = asyncio.run(_probe(settings, identity))
    document = {
        "login": login_name,
        "source": identity.source.value,
        "kind": identity.kind,
        "accepted": failure is None,
        "reason": failure,
    }
    if as_json:
        print_json(document)
    else:
        click.echo(f"identity   {login_name or 'unknown'}")
        click.echo(f"credential {identity.kind}, from {identity.source.value}")
        click.echo(f"copilot    {'accepted' if failure is None else f'not accepted: {failure}'}")
    return 0 if failure is None else 1


def log_in(settings: Settings, directory: DataDirectory) -> None:
    """Log in by device flow and keep the token."""

    async def run() -> tuple[str, str]:
        async with open_session(is_proxied=settings.upstream.is_proxied) as session:
            github = GitHub(session, hosts_of(settings))
            code = await github.fetch_device_code()
            click.echo(f"\nOpen  {code.verification_uri}\nenter {code.user_code}\n", err=True)
            click.echo(f"waiting for you there (the code is good for {code.expires_in // 60} minutes) ...", err=True)
            token = parse_github_token(await device_log_in(github, code, monotonic=time.monotonic, sleep=asyncio.sleep))
            return token, await github.fetch_login(token)

    token, name = asyncio.run(run())
    CredentialFile(directory.github_token).write(token)
    click.echo(f"logged in as {name}", err=True)


async def _probe(settings: Settings, identity: Identity) -> tuple[str | None, str | None]:
    async with open_session() as session:
        github = GitHub(session, hosts_of(settings))
        name = None
        try:
            name = await github.fetch_login(identity.github_token)
            if identity.is_exchanged:
                await github.fetch_copilot_token(identity.github_token)
            else:
                await github.fetch_copilot_user(identity.github_token)
        except GatewayError as error:
            return name, error.message
        return name, None


def upstream_settings(github_token: str | None = None) -> Settings:
    """The settings of a command that only talks to GitHub."""
    variables, standard = environment(), UpstreamSettings()
    return Settings(
        upstream=UpstreamSettings(
            github_url=variables.get("COPILOT_API_GITHUB_URL", standard.github_url).rstrip("/"),
            github_api_url=variables.get("COPILOT_API_GITHUB_API_URL", standard.github_api_url).rstrip("/"),
            api_url=variables.get("COPILOT_API_UPSTREAM_URL", "").rstrip("/") or None,
            github_token=github_token,
        )
    )


def hosts_of(settings: Settings) -> Hosts:
    """The hosts in `settings`."""
    upstream = settings.upstream
    return Hosts(upstream.github_url, upstream.github_api_url, upstream.api_url, AccountType(upstream.account_type))


def require_identity(settings: Settings, directory: DataDirectory) -> Identity:
    """The identity, or the advice to log in."""
    from copilot_api.cli.start import find_identity

    identity = find_identity(settings, directory)
    if identity is None:
        raise NoCredential("there is no GitHub credential", hint="run 'copilot-api auth login'")
    return identity
