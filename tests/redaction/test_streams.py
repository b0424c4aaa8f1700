"""Server-sent events: a secret that is spread over them is found, and their number, order and JSON stay."""

import base64
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.rule import Rule
from copilot_api.redaction.streams import Stream
from tests.redaction.samples import SHAPED, core_of, make_secret

PROPERTY = settings(derandomize=True, deadline=None, database=None)
SALT = b"salt"
TOKEN = "ghp_" + "A1b2C3d4" * 4 + "Z9z9"

Json = dict[str, Any]
WRAPS: dict[str, Callable[[str, int], Json]] = {
    "chat text": lambda piece, at: {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]},
    "chat reasoning": lambda piece, at: {"choices": [{"delta": {"reasoning_content": piece}, "index": 0}]},
    "chat call": lambda piece, at: {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1, **({"id": "call_1", "type": "function"} if at == 0 else {}), "function": {"arguments": piece}}]}}]},
    "messages text": lambda piece, at: {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": piece}},
    "messages call": lambda piece, at: {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": piece}},
    "responses text": lambda piece, at: {"type": "response.output_text.delta", "item_id": f"other each time {at}", "output_index": 0, "content_index": 0, "delta": piece, "sequence_number": at},
    "responses summary": lambda piece, at: {"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "delta": piece},
    "gemini": lambda piece, at: {"candidates": [{"content": {"role": "model", "parts": [{"text": ""}, {"text": piece}] if at % 2 else [{"text": piece}]}}]},
}  # fmt: skip


def stream(pieces: Sequence[str], wrap: Callable[[str, int], Json], end: str = "\n") -> bytes:
    return "".join(
        [f"data: {json.dumps(wrap(piece, at), ensure_ascii=False)}{end}{end}" for at, piece in enumerate(pieces)]
    ).encode()


def cut(text: str, places: Sequence[int]) -> list[str]:
    return [
        text[start:end]
        for start, end in pairwise([0, *sorted({place % len(text) for place in places} - {0}), len(text)])
    ]


def read(kept: str) -> list[Any]:
    return [json.loads(line[6:]) for line in kept.splitlines() if line.startswith("data: {")]


def pieces_of(value: Any) -> str:
    if isinstance(value, dict):
        return "".join([pieces_of(each) for key, each in value.items() if key not in ("type", "id", "item_id", "role")])
    if isinstance(value, list):
        return "".join([pieces_of(each) for each in value])
    return value if isinstance(value, str) else ""


@settings(PROPERTY, max_examples=400)
@given(
    st.sampled_from(SHAPED),
    st.integers(0, 1000),
    st.sampled_from(list(WRAPS)),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_no_split_hides_a_secret(rule: Rule, seed: int, wrap: str, places: list[int], end: str) -> None:
    secret = make_secret(rule.shape, seed)
    pieces = cut(f"it is {secret} indeed", places)
    redactor = Redactor(SALT)
    kept = redactor.redact_stream(stream(pieces, WRAPS[wrap], end))
    assert redactor.hits
    read_again = read(kept)
    assert len(read_again) == len(pieces)
    text = pieces_of(read_again)
    assert core_of(rule, secret) not in text
    assert text.startswith("it is ")
    assert text.endswith(" indeed")
    assert redactor.redact_stream(kept.encode()) == kept


@pytest.mark.parametrize("wrap", ["chat call", "messages call"])
def test_a_split_inside_an_escape_hides_nothing(wrap: str) -> None:
    arguments = json.dumps({"command": f'export X="{TOKEN}"' + "\n", "password": "open sesame 1"})
    arguments = arguments.replace("ghp_", "\\u0067hp_")
    for place in range(1, len(arguments)):
        kept = Redactor(SALT).redact_stream(stream([arguments[:place], arguments[place:]], WRAPS[wrap]))
        text = "".join([pieces_of(each) for each in read(kept)])
        assert json.loads(text)["command"].startswith("export X=")
        assert TOKEN[8:] not in text
        assert "sesame" not in text


def test_a_base64_run_that_is_split_hides_nothing() -> None:
    encoded = base64.b64encode(f"see {TOKEN} there".encode()).decode()
    for size in (1, 2, 3, 5, 7, 30):
        pieces = [encoded[at : at + size] for at in range(0, len(encoded), size)]
        redactor = Redactor(SALT)
        redactor.redact_stream(stream(pieces, WRAPS["chat text"]))
        assert redactor.hits == {"github-token": 1}


def test_channels_that_take_turns_are_not_mixed_up() -> None:
    pieces = (TOKEN[:9], TOKEN[9:20], TOKEN[20:])
    events = [{"choices": [{"index": index, "delta": {"content": piece}}]} for piece in pieces for index in (0, 1)]
    body = "".join([f"data: {json.dumps(event)}\n\n" for event in events])
    redactor = Redactor(SALT)
    kept = redactor.redact_stream(body.encode())
    assert redactor.hits == {"github-token": 2}
    assert [event["choices"][0]["delta"]["content"][:10] for event in read(kept)] == [
        "[redacted:",
        "[redacted:",
        "",
        "",
        "",
        "",
    ]


def test_comments_names_and_lines_that_are_no_json_are_looked_at_too() -> None:
    body = f": {TOKEN}\n\nevent: x\nid: {TOKEN}\ndata: plain {TOKEN}\ndata: more\n\ndata: [DONE]\n\n"
    kept = Redactor(SALT).redact_stream(body.encode())
    assert TOKEN not in kept
    assert kept.count("\n") == body.count("\n")
    assert kept.endswith("data: more\n\ndata: [DONE]\n\n")


def test_text_without_json_is_put_together_too() -> None:
    body = f"data: {TOKEN[:12]}\n\ndata: {TOKEN[12:]}\n\n"
    assert TOKEN[12:] not in Redactor(SALT).redact_stream(body.encode())


def test_json_in_several_data_lines_is_one_event() -> None:
    body = f'data: {{"a":\ndata: "{TOKEN}"}}\n\n'
    assert TOKEN not in Redactor(SALT).redact_stream(body.encode())


def test_an_event_that_is_cut_off_loses_its_half_of_a_secret_and_so_do_the_events_before() -> None:
    body = stream(["it is ", TOKEN[:6], TOKEN[6:12], TOKEN[12:]], WRAPS["chat text"])
    end = body.index(TOKEN[12:].encode()) + 3
    kept = Redactor(SALT).redact_stream(body[:end], is_cut=True)
    assert TOKEN[6:12] not in kept
    assert TOKEN[12:15] not in kept
    assert "it is " in kept


def test_a_stream_without_a_secret_stays_as_it_is() -> None:
    body = stream(["Hello", ", ", "world", "! a=b"], WRAPS["responses text"], "\r\n") + b": ping\n\ndata: [DONE]"
    assert Redactor(SALT).redact_stream(body) == body.decode()


def test_a_field_that_is_the_same_in_each_event_is_no_channel() -> None:
    body = stream(["a", "b", "c"], WRAPS["chat text"]).decode()
    assert [channel.text for channel in Stream(body).channels] == ["abc"]
