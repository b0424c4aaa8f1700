"""The items of a streamed Responses answer."""

import pytest

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.responses.output_items import Item, is_json


def test_another_call_on_the_index_of_one_that_is_over_begins_anew() -> None:
    item = Item(0, "function_call")
    item.call_id = "c1"
    assert not item.begins_anew("c2")
    item.is_done = True
    assert item.begins_anew("c2")
    assert not item.begins_anew("c1")
    assert not item.begins_anew("")


@pytest.mark.parametrize(
    "pieces", [["\n" * 21], ["\n\t"] * 11, ['{"a":' + "\n " * 21 + "1}"], ["{\n" + "\t" * 10, "\t" * 10]]
)
def test_pitfall_086_a_run_of_blanks_is_refused_however_it_is_cut(pieces: list[str]) -> None:
    item = Item(0, "function_call")
    for piece in pieces[:-1]:
        item.refuse_runaway(piece)
    with pytest.raises(UpstreamFailed):
        item.refuse_runaway(pieces[-1])


def test_blanks_between_tokens_and_spaces_are_no_run() -> None:
    item = Item(0, "function_call")
    for piece in ["{\n\t\t", '"a":\n\n'] * 20 + [" " * 500, "\\n" * 50]:
        item.refuse_runaway(piece)


def test_only_a_whole_value_is_json() -> None:
    assert is_json('{"a":1}')
    assert not is_json('{"a"')
    assert not is_json("")
