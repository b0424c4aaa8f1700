"""Names that the upstream takes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.protocols.translation.tool_names import ToolNames


def test_pitfall_013_a_long_name_is_shortened_and_comes_back() -> None:
    name = "mcp__a_server_with_a_long_name__and_a_tool_with_a_name_that_is_longer_still"
    names = ToolNames([name], 64)
    assert len(name) == 75
    assert len(names.sent(name)) <= 64
    assert names.original(names.sent(name)) == name
    assert ToolNames([name, "other"], 64).sent(name) == names.sent(name)


def test_pitfall_013_names_with_a_common_beginning_stay_apart() -> None:
    one, other = "x" * 64 + "one", "x" * 64 + "other"
    names = ToolNames([one, other], 64)
    assert names.sent(one) != names.sent(other)


def test_pitfall_014_a_valid_name_keeps_its_case() -> None:
    names = ToolNames(["Bash", "mcp__X__y-Z"], 64)
    assert not names
    assert names.sent("Bash") == names.original("Bash") == "Bash"


def test_a_shortened_name_never_takes_another_tools_name() -> None:
    name = "has space"
    taken = ToolNames([name], 64).sent(name)
    names = ToolNames([name, taken], 64)
    assert names.sent(name) != taken
    assert names.original(taken) == taken


@given(st.lists(st.text(min_size=1, max_size=90), max_size=8))
def test_any_names_are_valid_distinct_and_come_back(given_names: list[str]) -> None:
    names = ToolNames(given_names, 64)
    sent = {name: names.sent(name) for name in given_names}
    assert len(set(sent.values())) == len(sent)
    for name, short in sent.items():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", short)
        assert names.original(short) == name
