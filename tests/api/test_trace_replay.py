"""Whose key a replay counts for, what it sends, and what it answers where there is nothing to compare."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from copilot_api.api.trace_access import Visitor
from copilot_api.api.trace_replay import CLIENT, TraceReplays
from copilot_api.audit.models import LOCAL, AuditEvent
from copilot_api.capture.models import Cut, Leg
from copilot_api.config.settings import CaptureSettings
from copilot_api.errors import BadRequest, OverBudget
from copilot_api.gateway.replay import ReplayImpossible
from copilot_api.keys.captures import CaptureForbidden
from copilot_api.keys.models import Tier
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.events import CallEnded
from copilot_api.protocols.base import Envelope
from tests.api.trace_site import BODY, FakeExchange, NoCaptures, keep, make_services, make_traces
from tests.fakes import FakeClock
from tests.stored import Stored


class Site:
    """Replays on a gateway that calls nobody."""

    def __init__(self, stored: Stored, clock: FakeClock, admin: IssuedKey, path: Path) -> None:
        self.clock = clock
        self.admin = admin
        self.traces = make_traces(path, clock)
        self.signed: list[AuditEvent] = []
        self.exchange = FakeExchange(clock)
        services = make_services(self.traces, stored.keys, self.signed.append, clock, self.exchange)
        self.captures = cast("NoCaptures", services.captures)
        self.replays = TraceReplays(services, kept_seconds=0.0)
        self.visitor = Visitor(admin.key.id, LOCAL, admin.key)

    def run(self, body: Any = None, visitor: Visitor | None = None, **captured: Any) -> dict[str, Any]:
        trace = keep(self.traces, f"req_{self.traces.next_number()}", **captured)
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        scope: dict[str, Any] = {"headers": [], "extensions": {}}
        return asyncio.run(self.replays.run(visitor or self.visitor, trace, scope, receive))


@pytest.fixture
def site(stored: Stored, clock: FakeClock, admin: IssuedKey, tmp_path: Path) -> Site:
    return Site(stored, clock, admin, tmp_path / "traces")


USER = Visitor("local:ada", LOCAL)


def test_it_is_a_call_of_the_admins_own_key(site: Site) -> None:
    answer = site.run()
    ((call, key, body),) = site.exchange.calls
    assert (call.client, call.surface.endpoint, key) == (CLIENT, "/v1/chat/completions", site.admin.key)
    assert body == BODY.encode()
    (ended,) = [event for event in site.exchange.observed if isinstance(event, CallEnded)]
    assert (ended.call.request_id, ended.call.key_id) == (answer["request_id"], site.admin.key.id)
    assert answer["status"] == 200
    (event,) = site.signed
    assert (event.action, event.target, event.detail["as"]) == (
        "trace.replayed",
        answer["replay_of"],
        answer["request_id"],
    )


def test_its_capture_says_what_it_repeats_and_whose_that_was(site: Site) -> None:
    answer = site.run(key_id="key_holder")
    captured, method, target, _ = site.captures.asked[0]
    assert (captured.reason, captured.replay_of, captured.replay_of_key_id) == (
        "replay",
        answer["replay_of"],
        "key_holder",
    )
    assert (captured.key_id, method, target) == (site.admin.key.id, "POST", "/v1/chat/completions")
    site.run(key_id="key_admin", replay_of="req_0", replay_of_key_id="key_holder", reason="replay")
    assert site.captures.asked[1][0].replay_of_key_id == "key_holder"


def test_without_a_capture_there_is_nothing_to_compare(site: Site) -> None:
    answer = site.run({"model": "gpt-5"})
    assert answer["diff"] is None
    assert answer["notes"] == ["the model is gpt-5 instead of gpt-4.1", "the answer was not captured, so there is nothing to compare"]  # fmt: skip


def test_what_stood_outside_the_body_goes_along(site: Site) -> None:
    anthropic = Leg(method="POST", target="/v1/messages", body="{}", headers=[("Anthropic-Beta", "a, b")])
    site.run(endpoint="/v1/messages", client_request=anthropic)
    gemini = Leg(method="POST", target="/v1beta/models/a%2Fb:streamGenerateContent?alt=sse&key=[redacted]", body="{}")
    site.run(endpoint="/v1beta/generateContent", client_request=gemini)
    envelopes = [call.envelope for call, _, _ in site.exchange.calls]
    assert envelopes == [Envelope(betas=("a", "b")), Envelope(model="a/b", is_streamed=True)]


def test_a_call_that_is_refused_or_crashes_is_an_answer_too(site: Site) -> None:
    site.exchange.answer = OverBudget("the budget is used up")
    answer = site.run()
    assert (answer["status"], answer["cause"]) == (429, "over_budget")
    site.exchange.answer = RuntimeError("a defect")
    answer = site.run()
    assert (answer["status"], answer["cause"]) == (500, "internal")


def test_a_user_of_the_machine_names_an_admin_key(
    site: Site, stored: Stored, client: IssuedKey, clock: FakeClock
) -> None:
    for body, why in (
        (None, "counts for a key"),
        ({"key": "nobody"}, "no such key"),
        ({"key": client.key.id}, "no admin key"),
    ):
        with pytest.raises(BadRequest, match=why):
            site.run(body, USER)
    ending = stored.keys.issue("ending", tier=Tier.ADMIN, expires_at=clock.now() + timedelta(hours=1), actor="test")
    site.run({"key": "ending"}, USER)
    assert site.exchange.calls[0][1].id == ending.key.id
    clock.advance(3600)
    with pytest.raises(BadRequest, match="no admin key that can be used"):
        site.run({"key": "ending"}, USER)
    stored.keys.revoke(site.admin.key.id, actor="test")
    with pytest.raises(BadRequest, match="no admin key that can be used"):
        site.run({"key": site.admin.key.id}, USER)
    assert len(site.exchange.calls) == len(site.signed) == 1


def test_over_http_there_is_no_other_key_than_ones_own(site: Site) -> None:
    with pytest.raises(BadRequest, match="that it is asked with"):
        site.run({"key": site.admin.key.id})


def test_where_captures_are_forbidden_nothing_is_sent_again(site: Site) -> None:
    site.captures.settings = CaptureSettings(is_allowed=False)
    with pytest.raises(CaptureForbidden):
        site.run()
    assert not site.exchange.calls


def test_what_is_not_kept_whole_is_not_sent_and_not_on_record(site: Site) -> None:
    with pytest.raises(ReplayImpossible):
        site.run(client_request=Leg(method="POST", target="/", body=BODY, cut=Cut(1, "d")))
    assert not site.signed


@pytest.mark.parametrize("body", [b"{", b"[]", {"modle": "x"}, {"model": 3}, b"\xff", b"[" * 1000, {"model": ""}])
def test_what_is_no_wish_is_told(site: Site, body: Any) -> None:
    with pytest.raises(BadRequest):
        site.run(body)
