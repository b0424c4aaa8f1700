"""The colour of a name: the same in Python and in the browser."""

import json
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.assets import Assets
from copilot_api.admin.palette import COLOURS, OTHER, series_class, series_slot
from tests.node.project import NODE

NAMES = [
    "claude-sonnet-4.6", "gpt-5-mini", "gpt-4.1", "claude-opus-4.7", "key_01HZX", "key_01HZY", "", "a", "b",
    "Zürich", "日本語", "👩‍💻", "x" * 500, "other", "Other", "\x00", "<b>",
]  # fmt: skip


def test_the_script_says_the_same() -> None:
    source = Assets().get("palette.js").plain.decode()
    program = f"{source}\nconsole.log(JSON.stringify(JSON.parse(process.argv[1]).map((name) => [seriesSlot(name), seriesClass(name)])))"
    command = [NODE, "--input-type=module", "-e", program, "--", json.dumps(NAMES)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(answer.stdout) == [[series_slot(name), series_class(name)] for name in NAMES]


@given(st.text())
def test_every_name_has_one_of_the_colours(name: str) -> None:
    assert 0 <= series_slot(name) <= COLOURS
    assert (series_slot(name) == 0) is (name == OTHER)


def test_the_most_used_models_differ() -> None:
    models = (
        "claude-sonnet-4.6", "claude-opus-4.7", "claude-haiku-4.5", "gpt-4.1", "gpt-5-mini", "gpt-5.3-codex",
        "gemini-2.5-pro", "text-embedding-3-small",
    )  # fmt: skip
    assert {series_slot(model) for model in models} == set(range(1, COLOURS + 1))


def test_the_rest_is_grey() -> None:
    assert series_class("other") == "series-other"


def test_names_that_differ_in_a_letter_are_spread() -> None:
    found = {series_slot(f"key-{index}") for index in range(40)}
    assert len(found) == COLOURS
