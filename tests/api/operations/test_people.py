"""What the operations on people declare."""

from datetime import UTC, datetime

import msgspec
import pytest

from copilot_api.admin.session_api import render_session
from copilot_api.api.operations.people import OPERATIONS, EraseWish, SessionDocument
from copilot_api.keys.sessions import Session, digest_cookie
from copilot_api.privacy.models import EventsFate

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_an_erasure_is_asked_for_in_full() -> None:
    wish = msgspec.json.decode('{"key":"key_a","events":"delete"}', type=EraseWish)
    assert (wish.events, wish.compact) == (EventsFate.DELETE, True)
    for body in ("{}", '{"key":"key_a"}', '{"key":"key_a","events":"keep"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=EraseWish)


def test_a_session_is_told_without_what_opens_it() -> None:
    session = make_session()
    assert msgspec.convert(render_session(session, session.digest), SessionDocument).is_current
    assert {"digest", "cookie", "csrf"}.isdisjoint(SessionDocument.__struct_fields__)


def make_session() -> Session:
    return Session("ses_a", digest_cookie("x" * 43), "key_a", b"digest", NOW, NOW, None, "192.0.2.1", None)


def test_what_hands_out_or_takes_away_needs_the_key_again() -> None:
    assert {operation.id for operation in OPERATIONS if operation.is_sensitive} == {"export_privacy", "erase_privacy"}
