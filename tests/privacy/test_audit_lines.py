"""Which lines of the audit log are about a key, and what of them its holder gets to see."""

from typing import Any

import pytest

from copilot_api.audit.lines import AuditRecord
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.privacy import audit_lines
from copilot_api.privacy.audit_lines import ANOTHER_KEY, SOMEBODY_LOCAL, is_about, list_lines_about, render_for
from tests.privacy.site import Site

MINE, OTHER = "key_aaaaaaaaaaaa", "key_bbbbbbbbbbbb"
ORIGIN: dict[str, Any] = {"address": "192.0.2.7", "user_agent": "curl/8", "request_id": "req_1"}


def line(actor: str, target: str, detail: dict[str, Any] | None = None, action: str = "key.updated") -> AuditRecord:
    return AuditRecord(
        seq=1, at="2026-07-01T12:00:00+00:00", actor=actor, action=action, target=target, detail=detail or {},
        prev="0" * 64, hash="1" * 64, **ORIGIN,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (line(MINE, OTHER), True),
        (line(OTHER, MINE), True),
        (line("local:x", "config.json", {"revoked": [OTHER, MINE]}), True),
        (line("local:x", "config.json", {"a": {"b": {MINE: 1}}}), True),
        (line("local:x", OTHER, {"a": ["b", 1, None, True]}), False),
    ],
)
def test_a_line_is_about_a_key_that_acted_was_acted_on_or_is_named(record: AuditRecord, expected: bool) -> None:
    assert is_about(record, MINE) is expected


def test_what_the_key_did_is_told_with_where_it_came_from() -> None:
    shown = render_for(line(MINE, "config.json", {"changed": ["limits"]}), MINE)
    assert shown == {
        "seq": 1, "at": "2026-07-01T12:00:00+00:00", "actor": MINE, "action": "key.updated", "target": "config.json",
        "detail": {"changed": ["limits"]}, **ORIGIN,
    }  # fmt: skip


def test_what_others_did_to_it_is_told_without_them() -> None:
    for actor, shown_as in ((OTHER, ANOTHER_KEY), ("local:root", SOMEBODY_LOCAL), ("gateway", "gateway")):
        shown = render_for(line(actor, MINE, {"by": actor, "label": "anna"}), MINE)
        assert shown["actor"] == shown_as
        assert shown["detail"] == {"by": shown_as, "label": "anna"}
        assert not ORIGIN.keys() & shown.keys()


def test_of_what_it_did_to_another_key_only_that_is_told() -> None:
    shown = render_for(line(MINE, OTHER, {"label": "bob", "cidrs": ["192.0.2.0/24"]}), MINE)
    assert shown["target"] == ANOTHER_KEY
    assert "detail" not in shown


def test_other_keys_in_a_detail_lose_their_ids() -> None:
    shown = render_for(line("local:x", "config.json", {"revoked": [OTHER, MINE], "n": 3}), MINE)
    assert shown["detail"] == {"revoked": [ANOTHER_KEY, MINE], "n": 3}


def test_a_long_log_is_read_in_pieces_newest_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_lines, "PAGE_LINES", 3)
    for number in range(10):
        target = site.key.id if number % 2 else "elsewhere"
        site.stored.audit.append(AuditEvent("local:x", Action.CONFIG_CHANGED, target, {"n": number}, Origin()))
    found = [record.detail.get("n") for record in list_lines_about(site.stored.audit, site.key.id)]
    assert found == [9, 7, 5, 3, 1, None]
