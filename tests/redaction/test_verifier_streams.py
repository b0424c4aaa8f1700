"""The pieces of a streamed text are joined again, whatever protocol they came in."""

import json

import pytest

from copilot_api.redaction.verifier_streams import join_pieces
from copilot_api.redaction.verifier_views import View
from tests.redaction.corpus import DIALECTS, split
from tests.redaction.corpus.streams import arguments

TEXT = "a text that is said in small pieces"


def joined(text: str) -> list[str]:
    return [view.text for view in join_pieces(View(text))]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_text_is_whole_again(dialect: str, size: int) -> None:
    stream = split(TEXT, dialect, range(size, 99, size)).decode()
    expected = arguments(TEXT) if dialect.endswith("call") else TEXT
    assert expected in joined(stream)


def test_choices_and_blocks_are_kept_apart() -> None:
    events = [
        {"choices": [{"index": number % 2, "delta": {"content": piece}}]} for number, piece in enumerate("aAbBcC")
    ]
    texts = joined("".join(f"data: {json.dumps(event)}\n\n" for event in events))
    assert {"abc", "ABC"} <= set(texts)
    assert "aAbBcC" not in texts


def test_a_text_that_begins_in_another_field_is_joined_too() -> None:
    opening = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "be"}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "gun"}}
    assert "begun" in joined(f"data: {json.dumps(opening)}\n\ndata: {json.dumps(delta)}\n\n")


def test_an_array_of_events_is_a_stream_too() -> None:
    """Gemini's answer when the client does not ask for server-sent events."""
    events = [{"candidates": [{"content": {"parts": [{"text": piece}]}}]} for piece in ("one ", "text")]
    assert "one text" in joined(json.dumps(events, indent=1))
    assert joined(json.dumps(["one ", "text"])) == []


def test_both_of_two_pairs_with_one_name_are_seen() -> None:
    """A parser that keeps one of them would be blind for the other."""
    assert "onetwo" in joined('data: {"d":"one","d":"two"}\n\ndata: {}\n\n')


def test_a_joined_text_is_located_at_the_events_it_came_from() -> None:
    stream = 'data: {"d":"one"}\n\ndata: {"d":"two"}\n\ndata: {"d":"three"}\n\n'
    view = next(view for view in join_pieces(View(stream)) if view.text == "onetwothree")
    assert stream[slice(*view.locate(4, 6))] == 'data: {"d":"two"}'
    assert stream[slice(*view.locate(4, 8))] == 'data: {"d":"two"}\n\ndata: {"d":"three"}'


@pytest.mark.parametrize(
    "text", ["", "no stream", "data: [DONE]\n\n", "data: {broken\n\n", "[1, 2", "data: " + "[" * 100_000]
)
def test_what_is_no_stream_gives_nothing(text: str) -> None:
    assert joined(text) == []
