"""
The program `copilot-api`: which commands there are, and how each of them ends.

Exit codes: 0 it worked, 1 it failed, 2 it was refused or called wrongly, 130 it was interrupted. A command's module is
imported when the command is called and no sooner, so that `--help` is quick; its click command is named `command`.
"""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn

import click

from copilot_api import __version__
from copilot_api.errors import GatewayError

_PACKAGE = "copilot_api.cli"
_COMMANDS = {
    "start": "Run the gateway.",
    "demo": "Run the gateway on a throw-away data directory, against a simulated GitHub Copilot.",
    "auth": "Log in to GitHub and out again; show which identity is used.",
    "check-usage": "Show the Copilot quota and credits of the identity.",
    "keys": "Issue, list, change, rotate and revoke API keys.",
    "models": "Show the models: aliases, prices, who may use them, and what Copilot has changed.",
    "config": "Look at the configuration file, check it, change it, and go back to an earlier version.",
    "usage": "Show who used how much, by key, model, client or day.",
    "privacy": "Hand over, or erase, all that is stored about one key.",
    "audit": "List what is on record, and prove that nobody changed it.",
    "traces": "Look at captured calls, follow them, send them again; try redaction.",
    "resume": "Let calls go to GitHub Copilot again after the account was flagged.",
    "admin": "Get back in after a lock-out.",
    "doctor": "Check everything that a gateway needs, and say how to mend what is wrong.",
    "debug": "Show versions, paths and what is configured; nothing secret.",
    "simulate": "Run the simulated GitHub Copilot alone.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """See `click.Group`."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """See `click.Group`."""
        module = f"{_PACKAGE}.{cmd_name.replace('-', '_')}"
        if cmd_name not in _COMMANDS or find_spec(module) is None:
            return None
        command: click.Command = import_module(module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """See `click.Group`, which would import every command for its one line of help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    "copilot-api",
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every flag of a command can also be given as the environment variable COPILOT_API_<FLAG>.",
)
@click.version_option(__version__, prog_name="copilot-api")
def program() -> None:
    """GitHub Copilot's models behind the OpenAI, Anthropic and Gemini APIs, with keys for a team."""


def main() -> NoReturn:
    """Run the program on the arguments of this process, and end it."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str], group: click.Group = program) -> int:
    """Run a command of `group`, and give its exit code. A command may return one of its own."""
    _allow_any_text()
    try:
        code = group.main(list(arguments), prog_name="copilot-api", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except GatewayError as error:
        return _fail(error.message, error.actual_hint, 2 if error.is_final else 1)
    except BrokenPipeError:
        # Whoever reads us has read enough; what is still buffered must not complain when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(": ".join(str(part) for part in (error.strerror, error.filename) if part), None, 1)
    return code if isinstance(code, int) else 0


def _fail(message: str, hint: str | None, code: int) -> int:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    return code


def _allow_any_text() -> None:
    # A label that the terminal cannot show is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
