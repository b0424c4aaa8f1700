import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from copilot_api import __version__
from copilot_api.cli.program import run
from copilot_api.config.environment import environment
from copilot_api.errors import BadRequest, GatewayError, StorageUnavailable
from tests.cli.conftest import Cli

PROGRAM = [sys.executable, "-W", "error", "-m", "copilot_api"]


def end_with(error: BaseException | None = None, code: int | None = None) -> int:
    """The exit code of a command that ends so."""

    @click.group()
    def group() -> None: ...

    @group.command()
    def command() -> int | None:
        if error is not None:
            raise error
        return code

    return run(["command"], group)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (StorageUnavailable("the disk is full"), 1),
        (OSError(28, "No space left on device", "/somewhere"), 1),
        (click.ClickException("no"), 1),
        (BadRequest("no"), 2),
        (click.UsageError("no"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_says_how_it_ended(error: BaseException | None, code: int) -> None:
    assert end_with(error) == code


def test_a_command_may_have_an_exit_code_of_its_own() -> None:
    assert end_with(code=3) == 3


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (GatewayError("it broke", hint="mend it"), "error: it broke\nhint: mend it\n"),
        (GatewayError("it broke"), "error: it broke\n"),
        (OSError(28, "No space left", "/x"), "error: No space left: /x\n"),
    ],
)
def test_what_is_known_to_go_wrong_is_said_without_a_traceback(
    error: Exception, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    end_with(error)
    assert capsys.readouterr() == ("", printed)


def test_what_is_not_known_to_go_wrong_shows_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        end_with(ZeroDivisionError())


def test_an_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    end_with(KeyboardInterrupt())
    assert capsys.readouterr().err.strip() == ""


def test_help_lists_every_command(cli: Cli) -> None:
    ended = cli("--help")
    assert ended.code == 0
    for name in ("start", "demo", "auth", "check-usage", "keys", "usage", "admin", "debug", "simulate"):
        assert f"\n  {name} " in ended.out


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"copilot-api, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("keys", "nonsense"), ("keys", "list", "--nonsense"), ("../keys",)]
)
def test_what_does_not_exist_is_bad_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli(*arguments)
    assert ended.code == 2
    assert "No such" in ended.err


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    script = (
        "import sys; from copilot_api.cli.program import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"sqlalchemy", "alembic", "msgspec", "asyncio", "aiohttp", "uvicorn", "starlette"}
    assert not heavy & set(ended.stderr.split())

    def measure() -> float:
        """Processor time: what else the machine does is not ours."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*PROGRAM, "--help"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(measure() for _ in range(3)) < 0.15


def test_the_module_is_the_program(tmp_path: Path) -> None:
    variables = {**environment(), "COPILOT_API_HOME": str(tmp_path / "data")}
    ended = subprocess.run(
        [*PROGRAM, "keys", "show", "nobody"], capture_output=True, text=True, env=variables, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: no such key: 'nobody'\nhint: ")


def test_every_flag_says_its_environment_variable(cli: Cli) -> None:
    """Also those of the commands that are written elsewhere, once they are there."""
    for name in ("keys create", "keys list", "keys rotate", "keys revoke", "admin recover", "usage"):
        help_text = " ".join(cli(*name.split(), "--help").out.split())
        flags = [word for word in help_text.split() if word.startswith("--") and word != "--help"]
        for flag in {flag.strip(".,;:") for flag in flags}:
            assert f"COPILOT_API_{flag[2:].replace('-', '_').upper()}" in help_text, (name, flag)
