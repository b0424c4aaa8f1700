"""The dry run tells what is struck and what looks like a secret and stays, and never says a secret."""

import json

from copilot_api.redaction.edits import Pen
from copilot_api.redaction.explain import MAX_NEAR_MISSES, Explanation, explain

TOKEN = "ghp_" + "A1b2C3d4" * 5
UNKNOWN = "q7Wz9Kp2Lm4Xv8RtB3nC6"


def run(text: str, media_type: str = "") -> Explanation:
    return explain(Pen(b"salt"), text.encode(), media_type)


def test_a_hit_has_rule_place_and_placeholder() -> None:
    explanation = run(json.dumps({"a": [{"b": f"x {TOKEN}"}]}, indent=1))
    (hit,) = explanation.hits
    assert (hit.rule, hit.line, hit.path, hit.length) == ("github-token", 4, "$.a[0].b", len(TOKEN))
    assert hit.placeholder in explanation.text
    assert explanation.counts == {"github-token": 1}


def test_a_hit_says_through_which_encodings_it_was_found() -> None:
    (hit,) = run(f"first\n{TOKEN.encode().hex()}").hits
    assert (hit.line, hit.via) == (2, ("hex",))


def test_a_file_of_documents_is_read_line_by_line() -> None:
    explanation = run("\n".join([json.dumps({"n": 1}), json.dumps({"body": TOKEN}), ""]))
    assert [(hit.line, hit.path) for hit in explanation.hits] == [(2, "$.body")]
    assert explanation.text.endswith("\n")


def test_events_are_read_as_a_stream() -> None:
    explanation = run(f'data: {{"t":"{TOKEN[:9]}"}}\n\ndata: {{"t":"{TOKEN[9:]}"}}\n\n')
    assert [hit.rule for hit in explanation.hits] == ["github-token"]


def test_near_misses_have_a_place_and_a_reason() -> None:
    explanation = run(
        f"a\n  {UNKNOWN} sha256:{'0a1b2c3d' * 8} 0a1b2c3d-0a1b-4a1b-8a1b-0a1b2c3d4e5f call_A1b2C3d4E5f6G7h8I9j0K1l2"
    )
    first = explanation.near_misses[0]
    assert (first.line, first.column) == (2, 3)
    reasons = [miss.reason for miss in explanation.near_misses]
    assert reasons[0].startswith("no rule")
    assert "a UUID" in reasons
    assert "an id of a vendor" in reasons
    assert any(reason.startswith("a digest") for reason in reasons)


def test_near_misses_are_bounded_and_words_are_none() -> None:
    assert run("some_long_identifier_of_a_program " * 3).near_misses == []
    assert len(run(f"{UNKNOWN}\n" * (MAX_NEAR_MISSES + 5)).near_misses) == MAX_NEAR_MISSES


def test_nothing_that_is_told_holds_the_secret() -> None:
    explanation = run(f"it is {TOKEN} and {UNKNOWN}")
    assert TOKEN not in repr(explanation)
    assert UNKNOWN not in repr(explanation.near_misses)
