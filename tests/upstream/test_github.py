import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from copilot_api.errors import (
    AccountFlagged,
    GatewayError,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamTimeout,
    UpstreamUnauthorized,
)
from copilot_api.simulator.replies import load_document, recorded_token_errors
from copilot_api.upstream import github as github_module
from copilot_api.upstream.github import CLIENT_ID, DeviceCode, GitHub, open_session
from copilot_api.upstream.hosts import Hosts
from tests.upstream.servers import Peer, Script, Server, run, serve

TOKEN = "ghu_secret"
ENVELOPE = {"token": "tid=1;exp=2:sig", "expires_at": 1893457800, "refresh_in": 1500, "sku": "x"}


@contextlib.asynccontextmanager
async def talking_to(script: Script) -> AsyncGenerator[tuple[GitHub, Server]]:
    async with serve(script) as server, open_session() as session:
        yield GitHub(session, Hosts(server.url, server.url)), server


def answering(body: Any, status: str = "200 OK", *lines: str) -> Script:
    """Answers every request so."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def script(peer: Peer) -> None:
        while True:
            await peer.receive()
            await peer.answer(raw, *lines, status=status)

    return script


def exchange(script: Script) -> tuple[Any, Server]:
    """One token exchange: what it gives or raises, and the server."""

    async def test() -> tuple[Any, Server]:
        async with talking_to(script) as (github, server):
            try:
                return await github.fetch_copilot_token(TOKEN), server
            except GatewayError as error:
                return error, server

    return run(test())


# What is asked ----------------------------------------------------------------------------------------------------


def test_the_exchange_is_a_get_with_the_token_and_an_editors_headers() -> None:
    token, server = exchange(answering({**ENVELOPE, "endpoints": {"api": "https://api.example"}}))
    assert (token.token, token.refresh_in, token.endpoints.api) == ("tid=1;exp=2:sig", 1500, "https://api.example")
    ((line, headers, _),) = server.requests
    assert line == "GET /copilot_internal/v2/token HTTP/1.1"
    assert headers["authorization"] == f"token {TOKEN}"
    assert headers["editor-version"].startswith("vscode/")
    assert headers["user-agent"].startswith("GitHubCopilotChat/")


@pytest.mark.parametrize("plan", ["individual", "business", "enterprise", "free"])
def test_every_recorded_envelope_is_read(plan: str) -> None:
    envelope = load_document("token.json")[plan]
    token, _ = exchange(answering(envelope))
    assert token.token == envelope["token"]
    assert token.endpoints.api == envelope["endpoints"]["api"]


def test_the_device_flow_is_two_posts_of_json() -> None:
    recorded = load_document("token.json")["device_flow"]

    async def script(peer: Peer) -> None:
        while True:
            line, _, _ = await peer.receive()
            await peer.answer(json.dumps(recorded["device_code" if "/device/code" in line else "poll_ok"]).encode())

    async def test() -> None:
        async with talking_to(script) as (github, server):
            code = await github.fetch_device_code()
            assert (code.user_code, code.interval) == ("WDJB-MJHT", 5)
            poll = await github.fetch_device_poll(code)
            assert poll.access_token == recorded["poll_ok"]["access_token"]
            (first, _, asked), (second, _, polled) = server.requests
            assert first == "POST /login/device/code HTTP/1.1"
            assert second == "POST /login/oauth/access_token HTTP/1.1"
            assert json.loads(asked) == {"client_id": CLIENT_ID, "scope": "read:user"}
            assert json.loads(polled)["device_code"] == code.device_code

    run(test())


@pytest.mark.parametrize(
    "name", ["poll_pending", "poll_slow_down", "poll_expired", "poll_denied", "poll_bad_device_code"]
)
def test_every_outcome_of_a_poll_is_read(name: str) -> None:
    body = load_document("token.json")["device_flow"][name]

    async def test() -> None:
        async with talking_to(answering(body)) as (github, _):
            poll = await github.fetch_device_poll(DeviceCode("d", "u", "https://x"))
            assert (poll.access_token, poll.error, poll.interval) == (None, body["error"], body.get("interval"))

    run(test())


def test_a_login_page_that_is_no_web_address_is_not_shown() -> None:
    body = {"device_code": "d", "user_code": "u", "verification_uri": "javascript:alert(1)"}

    async def test() -> None:
        async with talking_to(answering(body)) as (github, _):
            with pytest.raises(UpstreamFailed, match="not a web address"):
                await github.fetch_device_code()

    run(test())


def test_the_account_its_quota_and_its_models_are_fetched() -> None:
    async def test() -> None:
        async with talking_to(answering({"login": "octocat"})) as (github, server):
            assert await github.fetch_login(TOKEN) == "octocat"
            assert await github.fetch_copilot_user(TOKEN) == {"login": "octocat"}
            assert await github.fetch_models(server.url, "tid=1") == {"login": "octocat"}
            assert [line.split()[1] for line, _, _ in server.requests] == ["/user", "/copilot_internal/user", "/models"]
            sent = server.requests[-1][1]
            assert sent["authorization"] == "Bearer tid=1"
            assert sent["openai-intent"] == "model-access"

    run(test())


# Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("401_bad_github_token", UpstreamUnauthorized, "Bad credentials"),
        ("403_no_access", UpstreamForbidden, "no Copilot access"),
        ("403_feature_flag_blocked", UpstreamForbidden, "access is blocked"),
        ("403_rest_rate_limit", UpstreamFailed, "API rate limit exceeded"),
        ("404_no_endpoint_for_token", UpstreamUnauthorized, "no such endpoint for this kind of token"),
        ("500", UpstreamFailed, "Server Error"),
    ],
)
def test_every_recorded_refusal_is_an_error_with_githubs_reason(
    name: str, kind: type[GatewayError], words: str
) -> None:
    reply = recorded_token_errors()[name]
    error, _ = exchange(answering(reply.body, f"{reply.status} No"))
    assert type(error) is kind
    assert words in error.message
    assert TOKEN not in f"{error.message}{error.actual_hint}"


def test_all_recorded_refusals_are_in_the_list_above() -> None:
    assert len(recorded_token_errors()) == 6


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("403 Forbidden", {"message": "Sorry. Your account was suspended"}),
        ("403 Forbidden", {"error_details": {"message": "Copilot access was suspended", "url": "https://x"}}),
        ("403 Forbidden", {"error_details": {"message": "No access", "notification_id": "suspicious_activity"}}),
        ("401 Unauthorized", {"message": "This account has been flagged"}),
        ("403 Forbidden", {"message": "You have triggered an abuse detection mechanism"}),
        ("429 Too Many Requests", {"message": "You have triggered an abuse detection mechanism"}),
        ("451 Unavailable", {"message": "blocked for abuse"}),
    ],
)
def test_a_notice_of_abuse_flags_the_account(status: str, body: Any) -> None:
    error, _ = exchange(answering(body, status))
    assert type(error) is AccountFlagged
    assert TOKEN not in f"{error.message}{error.actual_hint}"
    words = body.get("message") or body["error_details"]["message"]
    assert error.message == f"GitHub refuses Copilot to this account: {words}"


@pytest.mark.parametrize("name", sorted(recorded_token_errors()))
def test_no_recorded_refusal_is_taken_for_abuse(name: str) -> None:
    reply = recorded_token_errors()[name]
    error, _ = exchange(answering(reply.body, f"{reply.status} No"))
    assert not isinstance(error, AccountFlagged)


@pytest.mark.parametrize("status", ["404 No", "500 No", "502 No", "302 Found"])
def test_words_of_abuse_in_a_failure_flag_nobody(status: str) -> None:
    error, _ = exchange(answering({"message": "suspended for abuse"}, status))
    assert not isinstance(error, AccountFlagged)


def test_a_refusal_of_the_account_links_to_what_can_be_done() -> None:
    reply = recorded_token_errors()["403_no_access"]
    error, _ = exchange(answering(reply.body, "403 Forbidden"))
    assert "not_signed_up" in error.message
    assert error.actual_hint == "see https://github.com/github-copilot/signup"


def test_a_failure_says_when_to_come_back() -> None:
    error, _ = exchange(answering({}, "503 Unavailable", "retry-after: 17"))
    assert error.retry_after == 17.0


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No", "429 No", "500 No", "302 Found"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"message": 5, "error_details": []}', b"[" * 5000])
def test_a_refusal_of_any_shape_is_an_error(status: str, body: bytes) -> None:
    error, _ = exchange(answering(body, status))
    assert isinstance(error, GatewayError)


def test_a_redirect_is_not_followed() -> None:
    """The token is for GitHub, not for wherever it points."""

    async def test() -> None:
        async with serve(answering(ENVELOPE)) as elsewhere:
            script = answering(b"", "302 Found", f"location: {elsewhere.url}/")
            async with talking_to(script) as (github, _):
                with pytest.raises(UpstreamFailed):
                    await github.fetch_copilot_token(TOKEN)
            assert elsewhere.requests == []

    run(test())


# Answers that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"token"', b"{", b"\xff", b"[" * 5000])
def test_an_answer_that_is_no_object_is_a_failure(body: bytes) -> None:
    error, _ = exchange(answering(body))
    assert type(error) is UpstreamFailed
    assert "not a JSON object" in error.message


@pytest.mark.parametrize("field", ["token", "expires_at", "refresh_in"])
@pytest.mark.parametrize("value", [None, [], "x" * 10, ...])
def test_an_envelope_that_lacks_what_it_must_have_is_a_failure(field: str, value: Any) -> None:
    envelope: dict[str, Any] = {**ENVELOPE, field: value}
    if value is ...:
        del envelope[field]
    elif field == "token" and isinstance(value, str):
        return
    error, _ = exchange(answering(envelope))
    assert type(error) is UpstreamFailed


@pytest.mark.parametrize("token", ["tid=1\r\nx-evil: 1", "tid=1\n", "tid=1\0", "tid=größe→", ""])
def test_a_token_that_cannot_be_sent_in_a_header_is_a_failure(token: str) -> None:
    """It would otherwise fail every call, and whoever reads the catalog with it."""
    error, _ = exchange(answering({**ENVELOPE, "token": token}))
    assert type(error) is UpstreamFailed
    assert "tid=1" not in error.message


async def garbage(peer: Peer) -> None:
    await peer.receive()
    await peer.send(b"\x16\x03\x01 no http\r\n\r\n")


async def early_close(peer: Peer) -> None:
    await peer.receive()


async def reset(peer: Peer) -> None:
    await peer.receive()
    peer.reset()


async def cut(peer: Peer) -> None:
    await peer.receive()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")


@pytest.mark.parametrize("script", [garbage, early_close, reset, cut])
def test_a_connection_that_breaks_is_a_failure(script: Script) -> None:
    error, _ = exchange(script)
    assert type(error) is UpstreamFailed
    assert "no answer from" in error.message
    assert TOKEN not in error.message


def test_silence_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_module, "CALL_SECONDS", 0.1)

    async def silent(peer: Peer) -> None:
        await peer.receive()
        await peer.gone()

    error, _ = exchange(silent)
    assert type(error) is UpstreamTimeout


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://github.invalid", "http://[::1", "http://a b", "not a url", ""]
)
def test_a_host_that_cannot_be_reached_is_a_failure(url: str) -> None:
    async def test() -> None:
        async with open_session() as session:
            with pytest.raises(UpstreamFailed):
                await GitHub(session, Hosts(url, url)).fetch_copilot_token(TOKEN)

    run(test())


def test_a_call_that_is_given_up_is_not_reported_as_a_failure() -> None:
    async def silent(peer: Peer) -> None:
        await peer.receive()
        await peer.gone()

    async def test() -> None:
        async with talking_to(silent) as (github, server):
            calling = asyncio.get_running_loop().create_task(github.fetch_copilot_token(TOKEN))
            while not server.requests:
                await asyncio.sleep(0.005)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling

    run(test())


@pytest.mark.parametrize(
    ("status", "more", "is_told"),
    [("200 OK", [], True), ("403 Forbidden", [], True), ("200 OK", ["age: 300"], False)],
)
def test_what_time_it_is_at_github_is_told_unless_a_cache_says_it(status: str, more: list[str], is_told: bool) -> None:
    told: list[str] = []

    async def test() -> None:
        script = answering(ENVELOPE, status, "date: Wed, 01 Jul 2026 12:00:00 GMT", *more)
        async with serve(script) as server, open_session() as session:
            with contextlib.suppress(GatewayError):
                await GitHub(session, Hosts(server.url, server.url), told.append).fetch_copilot_token(TOKEN)

    run(test())
    assert told == ["Wed, 01 Jul 2026 12:00:00 GMT"] * is_told
