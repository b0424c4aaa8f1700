"""What the edge reads of a request: the caller's key, the program it is, and a body of bounded size."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from copilot_api.api.http_exchange import Exchange, Receive, Scope
from copilot_api.config.binding import is_loopback
from copilot_api.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from copilot_api.keys.models import parse_address

_CLIENTS = (
    ("openai/python", "openai-python"),
    ("asyncopenai/python", "openai-python"),
    ("openai/js", "openai-node"),
    ("anthropic/python", "anthropic-python"),
    ("asyncanthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-node"),
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("opencode", "opencode"),
    ("ai-sdk/", "ai-sdk"),
    ("ai/", "ai-sdk"),
    ("cline", "cline"),
    ("continue", "continue"),
    ("qwencode", "qwen-code"),
    ("aider", "aider"),
    ("litellm", "litellm"),
    ("langchain", "langchain"),
    ("geminicli", "gemini-cli"),
    ("google-genai", "google-genai"),
    ("llm/", "llm"),
    ("curl/", "curl"),
    ("python-httpx", "httpx"),
    ("python-requests", "requests"),
    ("node", "node"),
)
_LOOPBACK_ORIGIN = re.compile(rb"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?\Z")


Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

RequestHead = dict[bytes, bytes]
"""A request's headers by name in lower case; of a repeated one the last."""


@dataclass(slots=True)
class IntakeLimits:
    """Bounds on what clients send. They may change: a body goes by those in force when its reading began."""

    max_body_bytes: int


def find_secret(head: RequestHead) -> str:
    """
    The key that the caller sent, from `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`; empty when
    there is none. Some tools send two of them with only one filled in: one that looks like ours is preferred.
    """
    authorization = head.get(b"authorization", b"")
    if authorization.startswith(b"Bearer sk-cap-"):
        return authorization[7:].strip().decode("latin-1")
    scheme, _, bearer = authorization.partition(b" ")
    bearer = bearer.strip() if scheme.lower() == b"bearer" else b""
    other = head.get(b"x-api-key") or head.get(b"api-key") or head.get(b"x-goog-api-key") or b""
    secret = bearer if bearer.startswith(b"sk-cap-") or not other else other
    return secret.strip().decode("latin-1")


def is_batch(head: RequestHead) -> bool:
    """Whether the caller lets others go first (`X-Capi-Priority: batch`)."""
    return head.get(b"x-capi-priority", b"").strip().lower() == b"batch"


def client_address(scope: Scope, head: RequestHead, trusted: Networks) -> str | None:
    """
    Where the caller is: the peer of the connection or, where that is a trusted proxy, the last address in
    `X-Forwarded-For` that no trusted proxy has. None where nobody says.
    """
    client: Any = scope.get("client")
    peer: str | None = client[0] if client else None
    if not trusted or b"x-forwarded-for" not in head or not is_within(peer, trusted):
        return peer
    # Some proxies add a line of their own instead of adding to the one that is there.
    lines: list[bytes] = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for text in reversed(b",".join(lines).decode("latin-1").split(",")):
        hop = _without_port(text.strip())
        if not hop:
            continue
        if not is_within(hop, trusted):
            return hop if parse_address(hop) is not None else None
        peer = hop
    return peer


def is_secure(scope: Scope, trusted: Networks) -> bool:
    """Whether the request came over TLS: to us or, as a trusted proxy says (`X-Forwarded-Proto`), to it."""
    if scope.get("scheme") == "https":
        return True
    client: Any = scope.get("client")
    if not client or not is_within(client[0], trusted):
        return False
    lines: list[bytes] = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
    # Of several proxies each says what it saw: it is only as secure as the least of it.
    return all([each.strip().lower() == b"https" for each in b",".join(lines).split(b",")])


def is_within(address: str | None, networks: Networks) -> bool:
    """Whether an address is in one of these networks; one that is not known is in none."""
    found = parse_address(address)
    return found is not None and any([found in network for network in networks])


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def client_program(user_agent: bytes) -> str:
    """Which program calls, from a closed list: the ledger holds no header's value."""
    text = " " + user_agent[:200].decode("latin-1").lower().replace("(", " ").replace(";", " ")
    for mark, name in _CLIENTS:
        if f" {mark}" in text:
            return name
    return "other"


def refuse_foreign_page(head: RequestHead, *, is_local: bool) -> None:
    """
    Without authentication, a page that the operator merely visits could spend the account: its requests name their
    origin.
    """
    origin = head.get(b"origin", b"")
    if (origin and not _LOOPBACK_ORIGIN.match(origin)) or head.get(b"sec-fetch-site") == b"cross-site":
        raise BadRequest("a web page of another site may not call a gateway without authentication")
    if is_local and not is_loopback(host_name(head.get(b"host", b"localhost"))):
        # A page whose name was made to lead here (DNS rebinding) is of our own site, as the browser sees it.
        raise BadRequest("a gateway without authentication answers to the names of this machine only")


def host_name(host: bytes) -> str:
    """The name in a `Host` header, without the port."""
    text = host.decode("latin-1").strip()
    return text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]


async def read_body(receive: Receive, head: RequestHead, limit: int, exchange: Exchange | None = None) -> bytes:
    """The whole body. Raises `BodyTooLarge` before reading what is announced as too large, else as soon as it is."""
    if head.get(b"content-encoding", b"identity").lower() not in {b"identity", b""}:
        raise UnsupportedMediaType("the body's Content-Encoding is not supported")
    announced = head.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge(f"the body is {int(announced)} bytes; the limit is {limit}")
    if exchange is not None and (whole := exchange.take_body()) is not None:
        if len(whole) > limit:
            raise BodyTooLarge(f"the body is {len(whole)} bytes; the limit is {limit}")
        return whole
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ConnectionResetError("the client is gone")
    if len(body) > limit:
        raise BodyTooLarge(f"the body is over the limit of {limit} bytes")
    if not message.get("more_body", False):
        return body
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client is gone")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise BodyTooLarge(f"the body is over the limit of {limit} bytes")
    return b"".join(chunks)
