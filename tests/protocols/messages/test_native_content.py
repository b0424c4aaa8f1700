import json
from typing import Any

import pytest

from copilot_api.protocols import carriers
from copilot_api.protocols.conversation import Carrier
from copilot_api.protocols.messages.native_content import (
    decode_kind,
    drop_first_marks,
    drop_marks,
    edit_messages,
    edit_system,
    is_unsigned,
    mend_ends,
    with_clean_mark,
    without_mark,
)

MARK = {"type": "ephemeral"}
THINKING = {"type": "thinking", "thinking": "h\u2028m é", "signature": "sig"}
USE = {"type": "tool_use", "id": "t", "name": "n", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "ok"}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def edited(*messages: Any) -> list[Any]:
    turns, _ = edit_messages(json.dumps(messages).encode())
    return [json.loads(turn.render()) for turn in turns]


def content(*blocks: Any) -> list[Any]:
    """What becomes of a user's blocks."""
    return edited(user(*blocks))[0]["content"]  # type: ignore[no-any-return]


# Instructions -------------------------------------------------------------------------------------------------------


def test_instructions_that_can_stay_are_not_another_thing() -> None:
    assert edit_system(b'"be brief"')[1] is False
    assert edit_system(b'[{"type": "text", "text": "a"}]') == ([b'{"type": "text", "text": "a"}'], False)


def test_pitfall_008_the_billing_header_is_left_out() -> None:
    header = "x-anthropic-billing-header: cc_version=1; cch=abc;"
    blocks, is_edited = edit_system(json.dumps([text(header), text("a", cache_control=MARK)]).encode())
    assert is_edited
    assert [json.loads(raw) for raw in blocks] == [text("a", cache_control=MARK)]
    assert edit_system(json.dumps(f"{header}\n\nbe brief").encode())[0] == [b'{"type":"text","text":"be brief"}']
    assert edit_system(json.dumps([text(f"{header}\nb", cache_control={**MARK, "ttl": "1h"})]).encode())[0] == [
        b'{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}'
    ]


@pytest.mark.parametrize("raw", [b'""', b'" "', b"[]", b'[{"type":"text","text":""}]', b"null", b"3"])
def test_instructions_of_nothing_are_none(raw: bytes) -> None:
    assert edit_system(raw) == ([], True)


def test_more_instructions_stand_at_the_end() -> None:
    assert edit_system(b'"a"', "b") == ([b'{"type":"text","text":"a"}', b'{"type":"text","text":"b"}'], True)


# Blocks -------------------------------------------------------------------------------------------------------------


def test_messages_that_can_stay_keep_their_bytes() -> None:
    raw = b'[ {"role" : "user","content": "\\u00e9" } ,{"role":"assistant","content":[{"type":"text", "text":"a"}],"x":1}]'
    turns, is_folded = edit_messages(raw)
    assert not is_folded
    assert not any(turn.is_edited for turn in turns)
    assert b",".join(turn.render() for turn in turns) in raw.replace(b" ,{", b",{")


def test_pitfall_034_empty_texts_are_left_out_and_empty_messages_filled() -> None:
    assert content(text(""), text(" \n"), text("a")) == [text("a")]
    assert content(text("")) == content() == [text("(no content)")]
    assert edited({"role": "user", "content": " "}) == [user(text("(no content)"))]


def test_pitfall_037_thinking_keeps_its_bytes_whatever_stands_beside_it() -> None:
    raw = b'{"type":"thinking", "thinking":"h\\u00e9 \\/ \xe2\x80\xa8","signature":"sig" }'
    turns, _ = edit_messages(
        b'[{"role":"assistant","content":[%b,{"type":"text","text":""},{"type":"text","text":"a"}]}]' % raw
    )
    assert raw in turns[0].render()
    assert b'"text":""' not in turns[0].render()


def test_pitfall_033_a_cache_mark_on_thinking_goes_and_the_thinking_stays() -> None:
    raw = b'{"type":"thinking","thinking":"h\\u00e9","signature":"sig","cache_control":{"type":"ephemeral"}}'
    turns, _ = edit_messages(b'[{"role":"assistant","content":[%b,{"type":"text","text":"a"}]}]' % raw)
    assert b'{"type":"thinking","thinking":"h\\u00e9","signature":"sig"}' in turns[0].render()
    assert turns[0].marks == 0


def test_pitfall_038_thinking_that_copilot_did_not_sign_is_left_out() -> None:
    packed = carriers.pack(Carrier(kind="rs", data="x"))
    foreign = [{**THINKING, "signature": packed}, {**THINKING, "signature": ""}, {"type": "thinking", "thinking": "x"}]
    redacted = [{"type": "redacted_thinking", "data": packed}, {"type": "redacted_thinking"}]
    own = {"type": "redacted_thinking", "data": "d"}
    assert edited(assistant(*foreign, THINKING, *redacted, own, text("a"))) == [assistant(THINKING, own, text("a"))]
    assert edited(assistant(*foreign)) == [assistant(text("(no content)"))]


def test_what_a_server_side_tool_did_is_left_out() -> None:
    server = [{"type": "server_tool_use", "id": "s"}, {"type": "web_search_tool_result", "content": []}]
    assert edited(assistant(*server, text("a"))) == [assistant(text("a"))]


def test_pitfall_032_cache_marks_have_a_type_only() -> None:
    marked = text("a", cache_control={"type": "ephemeral", "scope": "global", "ttl": "1h"})
    assert content(marked, text("b", cache_control=None)) == [text("a", cache_control=MARK), text("b")]


def test_pitfall_006_an_answer_of_nothing_says_so() -> None:
    for empty in ("", [], None, [text(" ")]):
        assert content({**RESULT, "content": empty}) == [{**RESULT, "content": "(no output)"}]
    bare = {"type": "tool_result", "tool_use_id": "t"}
    assert content(bare) == [{**RESULT, "content": "(no output)"}]


def test_a_cache_mark_inside_an_answer_moves_onto_it() -> None:
    found = content({**RESULT, "content": [text("a", cache_control={**MARK, "ttl": "1h"}), text("")]})
    assert found == [{**RESULT, "content": [text("a")], "cache_control": MARK}]
    assert content({**RESULT, "content": [text("a")]}) == [{**RESULT, "content": [text("a")]}]


def test_instructions_as_a_block_become_a_reminder() -> None:
    found = content({"type": "mid_conv_system", "content": [text("a"), text("b")]}, text("c"))
    assert found == [text("<system-reminder>\na\n\nb\n</system-reminder>"), text("c")]


@pytest.mark.parametrize(
    "message", [3, None, {"role": 3}, {"role": "user", "content": 3}, user(3), user({"type": "text", "text": 3})]
)
def test_what_is_of_another_kind_is_the_upstreams_business(message: Any) -> None:
    assert edited(message) == [message]
    assert edit_messages(b"{}") == ([], False)


# Turns --------------------------------------------------------------------------------------------------------------

NOTE = {"role": "system", "content": "n"}
REMINDER = text("<system-reminder>\nn\n</system-reminder>")


def test_pitfall_009_a_system_message_is_folded_into_the_users_turn() -> None:
    assert edited({"role": "user", "content": "a"}, NOTE) == [user(text("a"), REMINDER)]
    assert edited(NOTE, user(text("a"))) == [user(REMINDER, text("a"))]
    assert edited(user(text("a")), assistant(USE), NOTE, user(RESULT, text("b")))[2] == user(
        RESULT, REMINDER, text("b")
    )
    assert edited(user(text("a")), assistant(text("b")), NOTE) == [
        user(text("a")),
        assistant(text("b")),
        user(REMINDER),
    ]
    assert edited(NOTE, assistant(text("b")))[0] == user(REMINDER)
    assert edited(user(text("a")), {"role": "system", "content": " "}) == [user(text("a"))]
    marked = {"role": "system", "content": [text("n", cache_control={**MARK, "ttl": "1h"})]}
    assert edited(user(text("a")), marked) == [user(text("a"), {**REMINDER, "cache_control": MARK})]


def test_the_first_marks_go() -> None:
    def marked(words: str) -> dict[str, Any]:
        return text(words, cache_control=MARK)

    turns, _ = edit_messages(
        json.dumps([user(marked("a"), marked("b")), assistant(text("c")), user(marked("d"))]).encode()
    )
    assert [turn.marks for turn in turns] == [2, 0, 1]
    assert drop_marks(turns, 2) == 0
    assert json.loads(turns[0].render()) == user(text("a"), text("b"))
    assert json.loads(turns[2].render()) == user(marked("d"))
    assert drop_marks(turns, 3) == 2
    raws = [b'{"name":"x","cache_control":{"type":"ephemeral"}}', b'{"name":"y"}']
    assert drop_first_marks(raws, 2) == 1
    assert raws == [b'{"name":"x"}', b'{"name":"y"}']


def test_marks_one_by_one() -> None:
    assert with_clean_mark(b"3") == (b"3", False)
    assert with_clean_mark(b'{"cache_control":null}') == (b"{}", False)
    assert without_mark(b"3") == b"3"
    assert decode_kind(b"3") == ""


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([user(text("a"))], False),
        ([assistant(USE), user(RESULT)], True),
        ([assistant(THINKING, USE), user(RESULT)], False),
        ([assistant({**THINKING, "signature": ""}, USE), user(RESULT)], True),
        ([assistant(USE), user(RESULT), {"role": "assistant", "content": "a"}], False),
    ],
)
def test_pitfall_039_whether_the_last_tool_turn_has_its_thinking(messages: list[Any], found: bool) -> None:
    assert is_unsigned(edit_messages(json.dumps(messages).encode())[0]) is found


def test_pitfall_028_the_user_begins_and_ends() -> None:
    turns, _ = edit_messages(json.dumps([assistant(text("a"))]).encode())
    assert mend_ends(turns, refuses_prefill=True)
    assert [json.loads(turn.render()) for turn in turns] == [
        user(text(".")),
        assistant(text("a")),
        user(text("Please continue.")),
    ]
    assert not mend_ends(turns, refuses_prefill=True)
    assert not mend_ends([], refuses_prefill=True)
