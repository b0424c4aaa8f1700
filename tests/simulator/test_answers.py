"""Texts are cut into pieces that say the same, few enough to send and enough to be a stream."""

import pytest

from copilot_api.simulator.answers import compose, split
from copilot_api.simulator.conversation import Prompt, Turn
from copilot_api.simulator.markers import Script

PROMPT = Prompt((Turn("user", "hello"),), {}, forbids_tools=False, images=0, tool_characters=0)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 11, 12, 13, 1000, 20_000])
@pytest.mark.parametrize("fewest", [2, 3])
def test_the_pieces_are_the_text(length: int, fewest: int) -> None:
    text = "".join(chr(97 + index % 26) for index in range(length))
    pieces = split(text, fewest)
    assert "".join(pieces) == text
    assert min(fewest, length) <= len(pieces) <= 2001
    assert all(pieces)


@pytest.mark.parametrize("length", [3, 24, 500])
def test_every_piece_of_a_plausible_text_is_a_token(length: int) -> None:
    answer = compose(Script(), PROMPT, length=length, limit=None, reasons=False)
    assert len(answer.pieces) == answer.tokens.output == length
    assert answer.text.endswith(".")


def test_a_limit_cuts_plausible_text_but_not_what_was_asked_for() -> None:
    cut = compose(Script(), PROMPT, length=24, limit=5, reasons=False)
    assert (len(cut.pieces), cut.stop) == (5, "length")
    said = compose(Script(say="word " * 20), PROMPT, length=24, limit=5, reasons=False)
    assert (said.text, said.stop) == ("word " * 20, "stop")
