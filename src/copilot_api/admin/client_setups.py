"""
What to paste so that a client calls this gateway, for each client. Pure.

The key itself is in none of it: it is put into one variable of the shell, which everything else refers to, so what
stands here may be shown and sent to anybody.
"""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

KEY_VARIABLE = "COPILOT_API_KEY"
PLACEHOLDER = "sk-cap-…"
_SAY = "Say hello."


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to, and to which model."""

    base_url: str
    """Without a path."""
    model: str

    @property
    def v1(self) -> str:
        """Where the OpenAI APIs begin."""
        return f"{self.base_url}/v1"


@dataclass(frozen=True, slots=True)
class Block:
    """One piece to paste."""

    where: str
    """A file, or `In your shell`."""
    text: str


@dataclass(frozen=True, slots=True)
class ClientSetup:
    """A client, and how it is set up."""

    name: str
    label: str
    protocol: str
    """What it calls: `chat`, `responses`, `messages` or `gemini`."""
    blocks: Callable[[Connection], Sequence[Block]]
    note: str = ""
    vendors: tuple[str, ...] = ()
    """How the names of models begin that suit it best, the best first."""


def export_key(secret: str = PLACEHOLDER) -> str:
    """The line that puts the key into its variable."""
    return f"export {KEY_VARIABLE}={shlex.quote(secret) if secret != PLACEHOLDER else secret}"


def find_setup(name: str) -> ClientSetup | None:
    """The client of that name."""
    return next((each for each in SETUPS if each.name == name), None)


def choose_model(names: Sequence[str], setup: ClientSetup) -> str | None:
    """Of the names that may be used the one to begin with; None where there is none."""
    for beginning in setup.vendors:
        if found := next((name for name in names if name.startswith(beginning)), None):
            return found
    return names[0] if names else None


def _shell(*lines: str) -> Block:
    return Block("In your shell", "\n".join(lines))


def _claude_code(to: Connection) -> Sequence[Block]:
    model = shlex.quote(to.model)
    return (
        _shell(
            f"export ANTHROPIC_BASE_URL={shlex.quote(to.base_url)}",
            f'export ANTHROPIC_AUTH_TOKEN="${KEY_VARIABLE}"',
            f"export ANTHROPIC_MODEL={model}",
            f"export ANTHROPIC_DEFAULT_HAIKU_MODEL={model}",
            "claude",
        ),
    )


def _codex(to: Connection) -> Sequence[Block]:
    config = f"""model = {json.dumps(to.model)}
model_provider = "copilot"

[model_providers.copilot]
name = "copilot-api"
base_url = {json.dumps(to.v1)}
wire_api = "responses"
env_key = "{KEY_VARIABLE}"
"""
    return Block("~/.codex/config.toml", config), _shell("codex")


def _opencode(to: Connection) -> Sequence[Block]:
    models: dict[str, dict[str, str]] = {to.model: {}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "copilot-api",
        "options": {"baseURL": to.v1, "apiKey": f"{{env:{KEY_VARIABLE}}}"},
        "models": models,
    }
    config = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {"copilot": provider},
        "model": f"copilot/{to.model}",
    }
    return Block("opencode.json in your project", json.dumps(config, indent=2, ensure_ascii=False)), _shell("opencode")


def _aider(to: Connection) -> Sequence[Block]:
    return (
        _shell(
            f"export OPENAI_API_BASE={shlex.quote(to.v1)}",
            f'export OPENAI_API_KEY="${KEY_VARIABLE}"',
            f"aider --model {shlex.quote(f'openai/{to.model}')}",
        ),
    )


def _continue(to: Connection) -> Sequence[Block]:
    config = f"""name: copilot-api
version: 0.0.1
schema: v1
models:
  - name: {json.dumps(to.model)}
    provider: openai
    model: {json.dumps(to.model)}
    apiBase: {json.dumps(to.v1)}
    apiKey: ${{{{ secrets.{KEY_VARIABLE} }}}}
    roles: [chat, edit, apply]
"""
    return (
        Block("~/.continue/config.yaml", config),
        Block("~/.continue/.env", f"{KEY_VARIABLE}={PLACEHOLDER}"),
    )


def _cline(to: Connection) -> Sequence[Block]:
    panel = (
        f"API Provider  OpenAI Compatible\nBase URL      {to.v1}\nAPI Key       {PLACEHOLDER}\nModel ID      {to.model}"
    )
    command = f'cline auth -p openai-compatible -b {shlex.quote(to.v1)} -k "${KEY_VARIABLE}" -m {shlex.quote(to.model)}'
    return Block("In the settings of the extension", panel), _shell(command)


def _curl(to: Connection) -> Sequence[Block]:
    body = {"model": to.model, "messages": [{"role": "user", "content": _SAY}]}
    command = (
        f"curl {shlex.quote(to.v1 + '/chat/completions')} \\\n"
        f'  -H "Authorization: Bearer ${KEY_VARIABLE}" \\\n'
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )
    models = f'curl {shlex.quote(to.v1 + "/models")} -H "Authorization: Bearer ${KEY_VARIABLE}"'
    return _shell(command), Block("Which models there are", models)


def _python(to: Connection) -> Sequence[Block]:
    openai = f"""import os
from openai import OpenAI

client = OpenAI(base_url={json.dumps(to.v1)}, api_key=os.environ["{KEY_VARIABLE}"])
answer = client.chat.completions.create(
    model={json.dumps(to.model)},
    messages=[{{"role": "user", "content": "{_SAY}"}}],
)
print(answer.choices[0].message.content)
"""
    anthropic = f"""import os
import anthropic

client = anthropic.Anthropic(base_url={json.dumps(to.base_url)}, api_key=os.environ["{KEY_VARIABLE}"])
message = client.messages.create(
    model={json.dumps(to.model)},
    max_tokens=1000,
    messages=[{{"role": "user", "content": "{_SAY}"}}],
)
print(message.content[0].text)
"""
    return Block("With the openai package", openai), Block("With the anthropic package", anthropic)


def _node(to: Connection) -> Sequence[Block]:
    openai = f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: {json.dumps(to.v1)}, apiKey: process.env.{KEY_VARIABLE} }});
const answer = await client.chat.completions.create({{
  model: {json.dumps(to.model)},
  messages: [{{ role: "user", content: "{_SAY}" }}],
}});
console.log(answer.choices[0].message.content);
"""
    anthropic = f"""import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({{ baseURL: {json.dumps(to.base_url)}, apiKey: process.env.{KEY_VARIABLE} }});
const message = await client.messages.create({{
  model: {json.dumps(to.model)},
  max_tokens: 1000,
  messages: [{{ role: "user", content: "{_SAY}" }}],
}});
console.log(message.content[0].text);
"""
    return Block("With the openai package", openai), Block("With @anthropic-ai/sdk", anthropic)


_CLAUDE = ("claude-sonnet", "claude-opus", "claude")
_GPT = ("gpt-5", "gpt-4.1", "gpt")

SETUPS = (
    ClientSetup(
        "claude-code",
        "Claude Code",
        "messages",
        _claude_code,
        "The base URL has no /v1 here. The second model is for small jobs in the background: a cheaper one will do.",
        _CLAUDE,
    ),
    ClientSetup("codex", "Codex", "responses", _codex, "Codex reads the key out of the shell it is started in.", _GPT),
    ClientSetup(
        "opencode",
        "opencode",
        "chat",
        _opencode,
        "Further models are further names below models.",
        (*_CLAUDE, *_GPT),
    ),
    ClientSetup(
        "aider",
        "aider",
        "chat",
        _aider,
        "aider puts openai/ before the name to know which API it speaks; the gateway does not see it.",
        (*_CLAUDE, *_GPT),
    ),
    ClientSetup(
        "continue",
        "Continue",
        "chat",
        _continue,
        "Continue reads no variables of the shell: the key goes into its own file.",
        (*_CLAUDE, *_GPT),
    ),
    ClientSetup("cline", "Cline", "chat", _cline, "Either way leads to the same settings.", (*_CLAUDE, *_GPT)),
    ClientSetup("curl", "curl", "chat", _curl, "", _GPT),
    ClientSetup("python", "Python", "chat", _python, "Either package will do with any model.", _GPT),
    ClientSetup("node", "Node", "chat", _node, "Either package will do with any model.", _GPT),
)
"""All of them, in the order in which they are shown."""
