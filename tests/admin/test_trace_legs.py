"""Legs as a page shows them: JSON set out, what can be a tree, and what of a body is missing."""

from copilot_api.admin.trace_legs import SHOWN_CHARACTERS, list_legs
from copilot_api.capture.models import Attempt, Cut, Leg
from tests.capture.kept import make_trace


def test_each_leg_is_there_once_in_order() -> None:
    trace = make_trace(
        1,
        earlier_attempts=[Attempt(request=Leg(method="POST", target="/x"), answer=Leg(status=503))],
        upstream_request=Leg(method="POST", target="https://example.invalid/x"),
        upstream_answer=Leg(status=200),
        client_answer=Leg(status=200),
    )
    assert [(view.name, view.line) for view in list_legs(trace)] == [
        ("client-request", "POST /v1/chat/completions"),
        ("try-1-request", "POST /x"),
        ("try-1-answer", "503"),
        ("upstream-request", "POST https://example.invalid/x"),
        ("upstream-answer", "200"),
        ("client-answer", "200"),
    ]


def body(text: str, **more: object) -> tuple[str, str, tuple[str, ...]]:
    (view,) = list_legs(make_trace(1, client_request=Leg(body=text, bytes=len(text), **more)))  # type: ignore[arg-type]
    return view.text, view.tree, view.notes


def test_json_is_set_out_and_may_be_a_tree() -> None:
    assert body('{"a":[1]}') == ('{\n  "a": [\n    1\n  ]\n}', "json", ())
    assert body('{"a":') == ('{"a":', "", ())
    assert body("plain") == ("plain", "", ())


def test_events_stay_as_they_came_and_may_be_a_tree() -> None:
    assert body("data: {}\n\n") == ("data: {}\n\n", "events", ())


def test_what_is_missing_is_said() -> None:
    _, tree, notes = body('{"a": 1', cut=Cut(1234, "ab" * 32), error="the client hung up")
    assert tree == ""
    assert "1,234 bytes" in notes[0]
    assert "abababababab…" in notes[0]
    assert notes[1] == "It ended early: the client hung up"
    assert body("", withheld="a suspect stayed")[2] == ("Its body is withheld: a suspect stayed.",)


def test_a_huge_body_is_shown_in_part() -> None:
    text, tree, notes = body("x" * (SHOWN_CHARACTERS + 7))
    assert (len(text), tree) == (SHOWN_CHARACTERS, "")
    assert notes == ("7 more characters are kept; the API shows them.",)
