"""What the edge reads of a request."""

import asyncio
import ipaddress
from typing import Any

import pytest

from copilot_api.api.intake import (
    Networks,
    RequestHead,
    client_address,
    client_program,
    find_secret,
    is_batch,
    read_body,
    refuse_foreign_page,
)
from copilot_api.errors import BadRequest, BodyTooLarge, GatewayError, UnsupportedMediaType

OURS = "sk-cap-" + "a" * 52


def head(**headers: str) -> RequestHead:
    return {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}


# The key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({}, ""),
        ({"authorization": f"Bearer {OURS}"}, OURS), ({"authorization": f"bearer {OURS}"}, OURS), ({"authorization": f"BEARER   {OURS}  "}, OURS),
        ({"authorization": f"Bearer\t{OURS}"}, ""), ({"authorization": OURS}, ""), ({"authorization": "Bearer"}, ""), ({"authorization": "Bearer "}, ""),
        ({"authorization": "Basic eA=="}, ""), ({"authorization": ""}, ""), ({"authorization": "Bearer sk-other"}, "sk-other"),
        ({"x_api_key": OURS}, OURS), ({"api_key": OURS}, OURS), ({"x_goog_api_key": OURS}, OURS), ({"x_api_key": f" {OURS} "}, OURS),
        ({"x_api_key": "", "api_key": OURS}, OURS), ({"x_api_key": "", "authorization": f"Bearer {OURS}"}, OURS),
        ({"authorization": "Bearer", "x_api_key": OURS}, OURS), ({"authorization": "Basic eA==", "x_api_key": OURS}, OURS),
        ({"authorization": "Bearer sk-other", "x_api_key": OURS}, OURS), ({"authorization": f"Bearer {OURS}", "x_api_key": "sk-ant-x"}, OURS),
        ({"authorization": "Bearer sk-other", "x_api_key": "sk-ant-x"}, "sk-ant-x"), ({"authorization": "Bearer \xff"}, "\xff"),
    ],
)  # fmt: skip
def test_a_key_is_found_wherever_a_client_puts_it(headers: dict[str, str], secret: str) -> None:
    assert find_secret(head(**headers)) == secret


# Who goes first ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("priority", "expected"),
    [("batch", True), ("Batch", True), (" batch ", True), ("", False), ("interactive", False), ("batch, batch", False), ("1", False), ("\xff", False)],
)  # fmt: skip
def test_a_caller_may_let_others_go_first(priority: str, expected: bool) -> None:
    assert is_batch(head(x_capi_priority=priority)) is expected
    assert not is_batch(head())


# The address -----------------------------------------------------------------------------------------------------

PROXY, FAR_PROXY = "10.0.0.1", "10.9.9.9"
TRUSTED: Networks = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "fd00::/8")))


def address(peer: str | None, *lines: str, trusted: Networks = TRUSTED) -> str | None:
    """Where a caller is whose connection comes from `peer`, with these lines of `X-Forwarded-For`."""
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    scope = {"client": None if peer is None else (peer, 51234), "headers": [(b"host", b"x"), *headers]}
    return client_address(scope, dict(headers), trusted)


def test_without_proxies_a_caller_is_where_its_connection_comes_from() -> None:
    assert address("203.0.113.9") == "203.0.113.9"
    assert address("2001:db8::1") == "2001:db8::1"
    assert address(None) is None
    assert client_address({"headers": []}, {}, ()) is None


@pytest.mark.parametrize(
    "peer", ["203.0.113.9", "11.0.0.1", "::1", "fe80::1", "not an address", "10.0.0.1.evil.example"]
)
def test_what_nobody_trusts_is_not_believed(peer: str) -> None:
    assert address(peer, "192.0.2.7") == peer
    assert address(peer, "10.0.0.1, 10.0.0.2") == peer


def test_where_no_proxy_is_trusted_none_is_believed() -> None:
    assert address(PROXY, "192.0.2.7", trusted=()) == PROXY
    assert address(None, "192.0.2.7", trusted=()) is None


def test_a_connection_without_an_address_is_nobodys_proxy() -> None:
    assert address(None, "192.0.2.7") is None


def test_a_trusted_proxy_says_where_its_caller_is() -> None:
    assert address(PROXY, "203.0.113.9") == "203.0.113.9"
    assert address("fd00::1", "2001:db8::1") == "2001:db8::1"


@pytest.mark.parametrize(
    "chain",
    [
        "203.0.113.9",
        "192.0.2.7, 203.0.113.9",
        "10.0.0.2, 203.0.113.9",
        "127.0.0.1,192.0.2.7,203.0.113.9, 10.9.9.9",
        "192.0.2.7, 203.0.113.9, 10.9.9.9, fd00::7",
        "not an address, 203.0.113.9",
        "unknown, 203.0.113.9, 10.9.9.9",
        " ,, 203.0.113.9 ,",
        "\xff\xfe, 203.0.113.9",
    ],
)
def test_what_a_caller_puts_into_the_chain_itself_is_not_believed(chain: str) -> None:
    """Each proxy adds what it saw at the end: the last that is no proxy of ours is the caller."""
    assert address(PROXY, chain) == "203.0.113.9"


def test_a_chain_of_proxies_alone_begins_at_the_farthest() -> None:
    assert address(PROXY, f"{FAR_PROXY}, 10.1.1.1") == FAR_PROXY
    assert address(PROXY) == PROXY
    assert address(PROXY, "") == PROXY
    assert address(PROXY, " , ") == PROXY


def test_a_proxy_may_add_a_line_instead_of_adding_to_one() -> None:
    """HAProxy does: only the last line would be its own, and name the proxy before it."""
    assert address(PROXY, "203.0.113.9", FAR_PROXY) == "203.0.113.9"
    assert address(PROXY, "192.0.2.7", "203.0.113.9") == "203.0.113.9"
    assert address(PROXY, "192.0.2.7, 203.0.113.9", f"{FAR_PROXY}, 10.1.1.1") == "203.0.113.9"


@pytest.mark.parametrize(
    ("hop", "expected"),
    [
        ("203.0.113.9:51234", "203.0.113.9"), ("[2001:db8::1]:443", "2001:db8::1"), ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"), ("2001:DB8::1", "2001:DB8::1"), ("::ffff:203.0.113.9", "::ffff:203.0.113.9"),
        ("[::ffff:203.0.113.9]:80", "::ffff:203.0.113.9"),
    ],
)  # fmt: skip
def test_an_address_may_come_with_a_port_or_in_brackets(hop: str, expected: str) -> None:
    assert address(PROXY, hop) == expected


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", "::FFFF:a00:1"])
def test_an_ipv4_proxy_on_an_ipv6_socket_is_the_same_proxy(peer: str) -> None:
    assert address(peer, "203.0.113.9, ::ffff:10.9.9.9") == "203.0.113.9"


@pytest.mark.parametrize(
    "hop",
    [
        "unknown", "_hidden", "localhost", "203.0.113", "203.0.113.9.1", "203.0.113.999", "0203.0.113.9", "203.0.113.9/32", "0xcb007109", "3405803785",
        "2001:db8::g", "203.0.113.9 10.0.0.1", "203.0.113.9;10.0.0.1", "for=203.0.113.9", "::1::", "*", "-", "\xe4\xf6",
    ],
)  # fmt: skip
def test_what_is_no_address_is_nowhere_and_what_stands_before_it_is_not_believed(hop: str) -> None:
    assert address(PROXY, f"192.0.2.7, {hop}") is None


# The program -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "program"),
    [
        ("OpenAI/Python 2.1.0", "openai-python"), ("AsyncOpenAI/Python 2.1.0", "openai-python"), ("OpenAI/JS 6.0.0", "openai-node"),
        ("Anthropic/Python 0.60", "anthropic-python"), ("Anthropic/JS 0.60", "anthropic-node"), ("claude-cli/2.0 (external, cli)", "claude-code"),
        ("codex_cli_rs/0.50 (Debian)", "codex"), ("opencode/1.0", "opencode"), ("ai-sdk/openai-compatible/1.0", "ai-sdk"), ("ai/5.0", "ai-sdk"),
        ("Cline/3.0", "cline"), ("Continue/1.0", "continue"), ("aider/0.80", "aider"), ("litellm/1.7", "litellm"), ("langchain-openai", "langchain"),
        ("curl/8.5.0", "curl"), ("python-httpx/0.28", "httpx"), ("python-requests/2.32", "requests"), ("node", "node"), ("llm/0.26", "llm"),
        ("GeminiCLI/1.0", "gemini-cli"), ("google-genai-sdk/1.0 gl-python/3.12", "google-genai"), ("google-genai/1.2", "google-genai"), ("OpenAI/Go 1.0", "other"), ("OpenAI/Java 1.0", "other"), ("QwenCode/0.1", "qwen-code"),
        ("", "other"), ("Mozilla/5.0", "other"), ("secret-project/1.0", "other"), ("\xff\xfe", "other"), ("x" * 100_000, "other"),
    ],
)  # fmt: skip
def test_a_program_is_one_of_a_closed_list(agent: str, program: str) -> None:
    assert client_program(agent.encode("latin-1")) == program


# Pages of others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"origin": "http://localhost"}, {"origin": "http://localhost:3000"}, {"origin": "https://localhost:3000"}, {"origin": "http://127.0.0.1:4141"},
        {"origin": "http://127.8.9.1"}, {"origin": "http://[::1]:8080"}, {"sec_fetch_site": "same-origin"}, {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-site"},
    ],
)  # fmt: skip
def test_pages_of_this_machine_and_programs_may_call_an_open_gateway(headers: dict[str, str]) -> None:
    refuse_foreign_page(head(**headers), is_local=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://localhost.evil.example"}, {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://127.0.0.1@evil.example"}, {"origin": "http://localhost:80@evil.example"}, {"origin": "http://evil.example/http://localhost"},
        {"origin": "http://localhost\n"}, {"origin": " http://localhost"}, {"origin": "http://localhost evil"}, {"origin": "http://128.0.0.1"},
        {"origin": "http://[::2]"}, {"origin": "file://"}, {"origin": "chrome-extension://abc"}, {"origin": "https://LOCALHOST.example"},
        {"origin": "http://0.0.0.0"}, {"origin": "http://localhostx"}, {"origin": "http://xlocalhost"}, {"origin": "ftp://localhost"},
        {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "cross-site", "origin": "http://localhost"},
    ],
)  # fmt: skip
def test_pages_of_others_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        refuse_foreign_page(head(**headers), is_local=True)


# The body --------------------------------------------------------------------------------------------------------


def read(pieces: list[bytes], *, ends: bool = True, announced: int | None = None, coding: str | None = None) -> bytes:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": place < len(pieces) - 1 or not ends} for place, piece in enumerate(pieces)
    ]  # fmt: skip

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    headers = {} if announced is None else {"content_length": str(announced)}
    if coding is not None:
        headers["content_encoding"] = coding
    return asyncio.run(read_body(receive, head(**headers), 100))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4141", "127.0.0.1:4141", "127.1.2.3", "[::1]:4141"])
def test_a_gateway_without_authentication_answers_to_the_names_of_this_machine(host: str) -> None:
    refuse_foreign_page(head(host=host), is_local=True)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4141", "localhost.evil.example", "127.0.0.1.evil.example", ""]
)
def test_a_name_that_was_made_to_lead_here_is_refused(host: str) -> None:
    """DNS rebinding: the page is of our own site, as its browser sees it."""
    with pytest.raises(BadRequest):
        refuse_foreign_page(head(host=host), is_local=True)
    refuse_foreign_page(head(host=host), is_local=False)  # another address was chosen on purpose: names are its owner's


@pytest.mark.parametrize(
    "pieces", [[b""], [b"abc"], [b"a", b"b", b"c"], [b"", b"abc", b""], [b"x" * 100], [b"x" * 50, b"x" * 50]]
)
def test_a_body_within_the_limit_is_read(pieces: list[bytes]) -> None:
    assert read(pieces) == b"".join(pieces)


@pytest.mark.parametrize("pieces", [[b"x" * 101], [b"x" * 100, b"x"], [b"x"] * 101, [b"x" * 1000, b"y" * 1000]])
@pytest.mark.parametrize("announced", [False, True])
def test_a_body_over_the_limit_is_refused(pieces: list[bytes], announced: bool) -> None:
    with pytest.raises(BodyTooLarge, match="limit"):
        read(pieces, announced=sum(map(len, pieces)) if announced else None)


def test_a_body_announced_as_too_large_is_refused_before_it_is_read() -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing is read")

    for announced in ("101", "9" * 300):
        with pytest.raises(GatewayError) as refusal:
            asyncio.run(read_body(receive, head(content_length=announced), 100))
        assert refusal.value.actual_status == 413


def test_a_body_that_never_ends_is_refused_as_soon_as_it_is_over_the_limit() -> None:
    count = 0

    async def receive() -> dict[str, Any]:
        nonlocal count
        count += 1
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    with pytest.raises(BodyTooLarge):
        asyncio.run(read_body(receive, head(), 100))
    assert count == 11


@pytest.mark.parametrize("pieces", [[], [b"a"], [b"a", b"b"]])
def test_a_client_that_leaves_while_it_sends_is_gone(pieces: list[bytes]) -> None:
    with pytest.raises(OSError, match="gone"):
        read(pieces, ends=False)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "GZIP", "gzip, identity", "x"])
def test_an_encoded_body_is_refused(coding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read([b"x"], coding=coding)


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_says_it_is_not_encoded_is_read(coding: str) -> None:
    assert read([b"x"], coding=coding) == b"x"
