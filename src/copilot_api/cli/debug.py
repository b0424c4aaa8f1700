"""`debug`: versions, paths and what is configured; nothing secret."""

import platform
import sys
from importlib.metadata import version

import click

from copilot_api import __version__
from copilot_api.api.system import LIBRARIES
from copilot_api.cli.auth import upstream_settings
from copilot_api.cli.options import json_option
from copilot_api.cli.output import print_json
from copilot_api.config.binding import without_credentials
from copilot_api.config.environment import environment
from copilot_api.config.loader import ConfigInvalid, load_config
from copilot_api.config.paths import DataDirectory


@click.command
@json_option
def command(*, as_json: bool) -> None:
    """Show versions, paths and what is configured; nothing secret."""
    directory = DataDirectory.locate(environment())
    upstream = upstream_settings().upstream
    try:
        load_config(directory.config)
        config = "valid" if directory.config.exists() else "defaults (no file)"
    except ConfigInvalid as error:
        config = f"invalid: {error.message}"
    document: dict[str, str] = {
        "copilot-api": __version__,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{name: version(name) for name in LIBRARIES},
        "data directory": str(directory.path),
        "database": _state(directory.database.exists()),
        "github_token": _state(directory.github_token.exists()),
        "admin.key.txt": _state(directory.admin_key.exists()),
        "configuration": config,
        "github": without_credentials(upstream.github_url),
        "github api": without_credentials(upstream.github_api_url),
        "copilot api": without_credentials(upstream.api_url) if upstream.api_url else "as GitHub says",
    }
    if as_json:
        print_json(document)
        return
    width = max(len(name) for name in document)
    for name, value in document.items():
        click.echo(f"{name:<{width}}  {value}")


def _state(is_there: bool) -> str:
    return "there" if is_there else "not there"
