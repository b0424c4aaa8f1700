"""What is to be pasted for each client: valid in its own language, with the key in none of it."""

import ast
import json
import shlex
import tomllib

import pytest

from copilot_api.admin.client_setups import (
    KEY_VARIABLE,
    PLACEHOLDER,
    SETUPS,
    ClientSetup,
    Connection,
    choose_model,
    export_key,
    find_setup,
)

PLAIN = Connection("https://gateway.example:4141", "claude-sonnet-4.5")
HOSTILE = Connection("http://127.0.0.1:4141", "a'b\"c$(id) ${x}")


def text(name: str, to: Connection, number: int = 0) -> str:
    setup = find_setup(name)
    assert setup is not None
    return setup.blocks(to)[number].text


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_each_leads_to_the_gateway_and_names_the_model_and_the_variable(setup: ClientSetup) -> None:
    everything = "\n".join(block.text for block in setup.blocks(PLAIN))
    assert PLAIN.base_url in everything
    assert PLAIN.model in everything
    assert KEY_VARIABLE in everything


def test_the_base_url_has_v1_where_the_client_wants_it_and_not_where_it_adds_it() -> None:
    assert "ANTHROPIC_BASE_URL=https://gateway.example:4141\n" in text("claude-code", PLAIN)
    assert tomllib.loads(text("codex", PLAIN))["model_providers"]["copilot"]["base_url"].endswith(":4141/v1")
    assert json.loads(text("opencode", PLAIN))["provider"]["copilot"]["options"]["baseURL"].endswith("/v1")


@pytest.mark.parametrize("to", [PLAIN, HOSTILE])
def test_a_model_of_any_name_stays_a_word(to: Connection) -> None:
    assert tomllib.loads(text("codex", to))["model"] == to.model
    assert list(json.loads(text("opencode", to))["provider"]["copilot"]["models"]) == [to.model]
    assert f"    model: {json.dumps(to.model)}\n" in text("continue", to)  # what is JSON is YAML too
    assert shlex.split(text("aider", to).splitlines()[-1])[-1] == f"openai/{to.model}"
    assert shlex.split(text("cline", to, 1))[-1] == to.model
    assert shlex.split(text("claude-code", to).splitlines()[2])[-1] == f"ANTHROPIC_MODEL={to.model}"
    body = shlex.split(text("curl", to).replace("\\\n", " "))[-1]
    assert json.loads(body)["model"] == to.model
    for number in (0, 1):
        ast.parse(text("python", to, number))


def test_the_key_goes_into_one_line() -> None:
    assert export_key() == f"export {KEY_VARIABLE}={PLACEHOLDER}"
    assert shlex.split(export_key("sk-cap-x y")) == ["export", f"{KEY_VARIABLE}=sk-cap-x y"]


def test_a_model_that_suits_the_client_is_chosen_of_those_that_there_are() -> None:
    claude, codex = find_setup("claude-code"), find_setup("codex")
    assert claude is not None
    assert codex is not None
    names = ["fast", "gpt-4.1", "claude-opus-4.7", "claude-sonnet-4.5", "gpt-5-mini"]
    assert (choose_model(names, claude), choose_model(names, codex)) == ("claude-sonnet-4.5", "gpt-5-mini")
    assert choose_model(["fast"], claude) == "fast"
    assert choose_model([], claude) is None
    assert find_setup("emacs") is None
