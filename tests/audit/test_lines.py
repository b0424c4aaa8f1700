"""The one form of a line."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.audit.lines import (
    MAX_LINE_BYTES,
    AuditRecord,
    Link,
    describe_record,
    make_record,
    parse_line,
    parse_link,
    read_record,
    render_line,
)
from copilot_api.audit.models import Action, AuditEvent, Origin

AT = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
BEFORE = Link(6, "a" * 64)

Values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
Events = st.builds(
    AuditEvent,
    st.text(),
    st.sampled_from(Action),
    st.text(),
    st.dictionaries(st.text(), Values, max_size=4),
    st.builds(Origin, st.none() | st.text(), st.none() | st.text(), st.none() | st.text()),
)


def line_of(event: AuditEvent) -> bytes:
    return render_line(make_record(event, AT, BEFORE))


def plain(**detail: object) -> AuditEvent:
    return AuditEvent("local:me", Action.KEY_ISSUED, "key_a", detail)


def test_a_line_says_who_did_what_to_what_and_when() -> None:
    assert json.loads(line_of(plain(label="ci ☃\n"))) | {"hash": ""} == {
        "seq": 7,
        "at": "2026-07-01T12:00:00+00:00",
        "actor": "local:me",
        "action": "key.issued",
        "target": "key_a",
        "detail": {"label": "ci ☃\n"},
        "prev": "a" * 64,
        "hash": "",
    }


def test_what_is_known_of_the_origin_is_in_the_line_and_nothing_for_the_rest() -> None:
    event = AuditEvent("key_a", Action.CONFIG_CHANGED, "config.json", {}, Origin("192.0.2.1", "ci/1.0", "req_1"))
    names = ["seq", "at", "actor", "action", "target", "detail", "address", "user_agent", "request_id", "prev", "hash"]
    assert list(json.loads(line_of(event))) == names
    event = AuditEvent("key_a", Action.CONFIG_CHANGED, "config.json", {}, Origin("", None, "req_1"))
    assert list(json.loads(line_of(event)))[6:] == ["request_id", "prev", "hash"]


def test_a_user_agent_is_kept_to_its_first_200_characters() -> None:
    event = AuditEvent("key_a", Action.CONFIG_CHANGED, "config.json", {}, Origin(user_agent="é" * 201))
    assert json.loads(line_of(event))["user_agent"] == "é" * 200


def test_the_hash_can_be_checked_with_a_hash_command_and_an_editor() -> None:
    line = line_of(plain(label="ci")).decode().strip()
    body, _, rest = line.rpartition(',"hash":"')
    assert hashlib.sha256((body + "}").encode()).hexdigest() == rest.removesuffix('"}')


@given(Events)
def test_whatever_it_is_about_it_is_one_line_that_can_be_read_back(event: AuditEvent) -> None:
    try:
        line = line_of(event)
    except ValueError:
        return  # half a surrogate pair is no text
    assert line.endswith(b'"}\n')
    assert line.count(b"\n") == 1
    record = parse_line(line)
    assert (record.actor, record.action, record.target) == (event.actor, event.action, event.target)
    assert render_line(record) == line
    assert read_record(line) == record
    assert describe_record(record) == json.loads(line)


DANGEROUS = [
    "\n", "\r\n", "\x00", "\x1b[2J", "\x1b]0;title\x07", "\x7f", "\x9b31m", "\x85", "\u2028", "\u2029", "\u202e", "\u2066", "\u200f",
    "\ufeff", "\xad", "\u200b", "\U000e0041", '","hash":"', '"}\n{"seq":8,',
]  # fmt: skip


@pytest.mark.parametrize("text", DANGEROUS)
def test_nothing_forges_a_line_and_no_control_character_is_in_the_file_as_it_is(text: str) -> None:
    event = AuditEvent(text, Action.KEY_ISSUED, text, {text: text}, Origin(text, text, text))
    line = line_of(event)
    assert line.count(b"\n") == 1
    assert line.decode()[:-1].isprintable()
    record = parse_line(line)
    assert {record.actor, record.target, record.address, record.user_agent, record.request_id} == {text}
    assert record.detail == {text: text}


def rehashed(body: dict[str, Any] | str) -> bytes:
    """A line by somebody who knows how hashes are made."""
    text = (body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))).encode()
    return text[:-1] + b',"hash":"' + hashlib.sha256(text).hexdigest().encode() + b'"}\n'


def body_of(line: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(line)
    del fields["hash"]
    return fields


def test_the_forger_of_these_tests_makes_good_lines() -> None:
    line = line_of(plain(label="é"))
    assert rehashed(json.dumps(body_of(line), separators=(",", ":"), ensure_ascii=False)) == line


FIELDS = body_of(line_of(plain(label="ci")))
TEXT = json.dumps(FIELDS, separators=(",", ":"))


@pytest.mark.parametrize(
    "line",
    [
        rehashed(json.dumps(FIELDS)),
        rehashed(TEXT.replace("key_a", "\\u006bey_a")),
        rehashed(TEXT.replace('"label":"ci"', '"label":"no","label":"ci"')),
        rehashed(TEXT.replace('"actor"', '"seq":7,"actor"')),
        rehashed({**FIELDS, "more": 1}),
        rehashed({**FIELDS, "address": None}),
        rehashed({name: FIELDS[name] for name in reversed(FIELDS)}),
        rehashed(TEXT.replace('"seq":7', '"seq":7.0')),
        rehashed(TEXT.replace('"seq":7', '"seq":"7"')),
        rehashed(TEXT.replace('"ci"', '"\u202e"')),
        line_of(plain(a=1))[:-1],
        line_of(plain(a=1))[:-1] + b" \n",
        line_of(plain(a=1))[:-1] + b"\r\n",
        b"\xef\xbb\xbf" + line_of(plain(a=1)),
        b"\n",
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b"\xff\n",
        line_of(plain(a=1)).replace(b"key_a", b"key_b"),
        line_of(plain(a=1)).upper(),
    ],
    ids=[
        "blanks", "escape", "field twice in detail", "field twice", "field more", "null", "order", "float", "text", "raw bidi",
        "no end", "blank behind", "return", "mark in front", "empty", "no fields", "deep", "no UTF-8", "edited", "upper case",
    ],
)  # fmt: skip
def test_what_is_not_in_the_one_form_of_a_line_is_none(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is|it has|its hash"):
        parse_line(line)


@pytest.mark.parametrize("value", [object(), "\ud800", "x" * MAX_LINE_BYTES])
def test_what_a_line_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        parse_line(line_of(plain(value=value)))


def test_a_link_in_one_word_is_read_back() -> None:
    link = Link(12, "0f" * 32)
    assert parse_link(link.text) == link
    for text in ("", "12", "12:", ":" + "0" * 64, "12:" + "0" * 63, "12:" + "F" * 64, "x:" + "0" * 64, f"{link.text} "):
        assert parse_link(text) is None


def test_a_time_without_an_offset_is_none() -> None:
    record = make_record(plain(), AT.astimezone(timezone(timedelta(hours=2))), BEFORE)
    assert record.moment == AT
    naive = AuditRecord(seq=1, at="2026-07-01T12:00:00", actor="", action="", target="", detail={}, prev="", hash="")
    with pytest.raises(ValueError, match="no offset"):
        _ = naive.moment
