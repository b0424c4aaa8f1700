"""
The coding agents as programs: how each is pointed at a gateway and given one task without a terminal.

Each runs in a home and a working directory of its own, with an environment that holds nothing of the machine's but
what is named here, and with its telemetry, updates and other calls home turned off.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.node.project import NODE, NodeProject, search_path

PROJECT = NodeProject(Path(__file__).parent)
SECONDS = 60.0


@dataclass(frozen=True)
class Desk:
    """Where an agent works, and with which gateway."""

    home: Path
    work: Path
    gateway_url: str
    key: str

    def environment(self, **more: str) -> dict[str, str]:
        """All that the agent is told about the machine."""
        return {
            "PATH": search_path(),
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "SHELL": "/bin/sh",
            "NO_COLOR": "1",
            "CI": "1",
            **more,
        }


@dataclass(frozen=True)
class Finished:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it printed, where that is one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    def check(self) -> "Finished":
        """The same, or a failure that shows all it said."""
        assert self.code == 0, f"it ended with {self.code}\n{self.out}\n{self.err}"
        return self


@cache
def programs() -> Path:
    """The `node_modules` with all of them."""
    return PROJECT.install()


def _run(desk: Desk, command: list[str], environment: Mapping[str, str]) -> Finished:
    done = subprocess.run(
        command,
        cwd=desk.work,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


# Claude Code ----------------------------------------------------------------------------------------------------------

CLAUDE_CODE = "@anthropic-ai/claude-code/cli-wrapper.cjs"
CLAUDE_CODE_2_0 = "claude-code-2.0/cli.js"


def claude(
    desk: Desk,
    prompt: str,
    *flags: str,
    model: str,
    tools: str = "Write,Bash,Read",
    program: str = CLAUDE_CODE,
    output_format: str = "json",
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """`claude --print`, with leave to use `tools`."""
    command = [NODE, str(programs() / program), "--print", "--output-format", output_format]
    command += ["--model", model, "--allowedTools", tools, "--permission-mode", "acceptEdits", *flags]
    given = {"ANTHROPIC_AUTH_TOKEN": desk.key} if environment is None else environment
    variables = desk.environment(
        ANTHROPIC_BASE_URL=desk.gateway_url,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
        DISABLE_ERROR_REPORTING="1",
        DISABLE_TELEMETRY="1",
        **given,
    )
    return _run(desk, [*command, "--", prompt], variables)


# Codex ----------------------------------------------------------------------------------------------------------------

_CODEX_CONFIG = """\
model_provider = "gateway"
check_for_update_on_startup = false

[model_providers.gateway]
name = "gateway"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "GATEWAY_KEY"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false
"""


def codex(desk: Desk, prompt: str, *flags: str, model: str) -> Finished:
    """`codex exec --json`, with leave to do anything."""
    place = desk.home / ".codex"
    place.mkdir(exist_ok=True)
    (place / "config.toml").write_text(_CODEX_CONFIG.format(url=desk.gateway_url))
    command = [NODE, str(programs() / "@openai/codex/bin/codex.js"), "exec", "--json", "--model", model]
    command += ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", *flags]
    variables = desk.environment(GATEWAY_KEY=desk.key, CODEX_HOME=str(place))
    return _run(desk, [*command, "--", prompt], variables)


# opencode -------------------------------------------------------------------------------------------------------------


def opencode(desk: Desk, prompt: str, *flags: str, model: str, provider: str) -> Finished:
    """`opencode run`, through that package of the AI SDK (they are inside the program)."""
    program = programs() / "opencode-linux-x64" / "bin" / "opencode"
    assert program.exists(), "opencode's program for this platform is not among the packages of tests/agents"
    configuration = {
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": False,
        "share": "disabled",
        "model": f"gateway/{model}",
        "permission": "allow",
        "provider": {
            "gateway": {
                "npm": provider,
                "name": "gateway",
                "options": {"baseURL": f"{desk.gateway_url}/v1", "apiKey": desk.key},
                "models": {model: {"name": model, "tool_call": True, "limit": {"context": 100_000, "output": 8_000}}},
            }
        },
    }
    (desk.work / "opencode.json").write_text(json.dumps(configuration))
    variables = desk.environment(
        OPENCODE_DISABLE_AUTOUPDATE="1",
        OPENCODE_DISABLE_LSP_DOWNLOAD="1",
        OPENCODE_DISABLE_MODELS_FETCH="1",
        OPENCODE_DISABLE_DEFAULT_PLUGINS="1",
    )
    return _run(desk, [str(program), "run", "--format", "json", *flags, prompt], variables)
