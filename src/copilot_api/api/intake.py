"""What the edge reads of a request: the caller's key, the program it is, and a body of bounded size."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from copilot_api.api.http_protocol import Receive
from copilot_api.errors import BadRequest, BodyTooLarge, UnsupportedMediaType

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
    ("ai-sdk", "ai-sdk"),
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


@dataclass(slots=True)
class RequestHead:
    """The headers that the gateway reads, gathered in one pass."""

    authorization: bytes = b""
    api_key: bytes = b""
    content_length: int | None = None
    content_encoding: bytes = b""
    user_agent: bytes = b""
    origin: bytes = b""
    fetch_site: bytes = b""


def read_head(headers: Iterable[tuple[bytes, bytes]]) -> RequestHead:
    """The head in `headers`, whose names are in lower case."""
    head = RequestHead()
    for name, value in headers:
        if name == b"authorization":
            head.authorization = value
        elif name == b"content-length":
            head.content_length = int(value) if value.isdigit() else None
        elif name == b"user-agent":
            head.user_agent = value
        elif name in {b"x-api-key", b"api-key", b"x-goog-api-key"}:
            head.api_key = head.api_key or value
        elif name == b"content-encoding":
            head.content_encoding = value
        elif name == b"origin":
            head.origin = value
        elif name == b"sec-fetch-site":
            head.fetch_site = value
    return head


def find_secret(head: RequestHead) -> str:
    """
    The key that the caller sent, from `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`; empty when
    there is none. Some tools send two of them with only one filled in: one that looks like ours is preferred.
    """
    scheme, _, bearer = head.authorization.partition(b" ")
    bearer = bearer.strip() if scheme.lower() == b"bearer" else b""
    if bearer and (bearer.startswith(b"sk-cap-") or not head.api_key):
        return bearer.decode("latin-1")
    return (head.api_key or bearer).strip().decode("latin-1")


def client_program(user_agent: bytes) -> str:
    """Which program calls, from a closed list: the ledger holds no header's value."""
    text = user_agent[:200].decode("latin-1").lower()
    for mark, name in _CLIENTS:
        if mark in text:
            return name
    return "other"


def refuse_foreign_page(head: RequestHead) -> None:
    """
    Without authentication, a page that the operator merely visits could spend the account: its requests name their
    origin.
    """
    is_foreign = head.origin not in {b"", b"null"} and not _LOOPBACK_ORIGIN.match(head.origin)
    if is_foreign or head.origin == b"null" or head.fetch_site == b"cross-site":
        raise BadRequest("a web page of another site may not call a gateway without authentication")


async def read_body(receive: Receive, head: RequestHead, limit: int) -> bytes:
    """The whole body. Raises `BodyTooLarge` before reading what is announced as too large, else as soon as it is."""
    if head.content_encoding and head.content_encoding.lower() != b"identity":
        raise UnsupportedMediaType("the body's Content-Encoding is not supported")
    if head.content_length is not None and head.content_length > limit:
        raise BodyTooLarge(f"the body is {head.content_length} bytes; the limit is {limit}")
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client is gone")
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
