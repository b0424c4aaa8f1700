"""The ways in which a secret stands in a request or an answer."""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlencode

JSON, TEXT, FORM = "application/json", "text/plain; charset=utf-8", "application/x-www-form-urlencoded"
BEFORE = "Deploy notes for Tuesday. The credential in use is this one, do not lose it:\n"
AFTER = "\nThat was all; the rest of this page is about the weather.\n"


@dataclass(frozen=True)
class Secret:
    """A made-up secret."""

    family: str
    value: str
    """As it stands in a text, with what makes it known as a secret (its prefix or its name)."""
    random_part: str
    """What nobody may see."""


@dataclass(frozen=True)
class Encoded:
    """A text with a secret in it."""

    name: str
    text: str
    media_type: str = TEXT


def chat_request(content: str) -> str:
    """A request of the chat protocol in which the user says `content`."""
    messages = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": content}]
    return json.dumps({"model": "gpt-5-mini", "messages": messages, "max_tokens": 4096, "stream": True})


def escape_all(text: str) -> str:
    """Each character as `\\uXXXX`."""
    return "".join(f"\\u{ord(character):04x}" for character in text)


def percent_all(text: str) -> str:
    """Each character percent-encoded, also those that need not be."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def encode_base64(text: str) -> str:
    """Base64 as of RFC 4648, section 4."""
    return base64.b64encode(text.encode()).decode()


def encode_base64url(text: str) -> str:
    """Base64 as of RFC 4648, section 5, without padding."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def one_line(text: str) -> str:
    """`text` where there is room for one line only: line ends as people write them there."""
    return text.replace("\n", "\\n")


@lru_cache(maxsize=128)
def encodings(secret: Secret) -> Sequence[Encoded]:
    """`secret` in each of the ways."""
    value = secret.value
    return (*_as_text(value), *_in_json(value), *_encoded(value), *_in_urls(value))


def _as_text(value: str) -> Iterator[Encoded]:
    line = one_line(value)
    yield Encoded("plain", value)
    yield Encoded("prose", f"{BEFORE}{value}{AFTER}")
    yield Encoded("quoted", f"I tried `{value}` and it does not work, why?")
    yield Encoded("code block", f"Run this:\n```sh\n$ login\n{value}\n```\n")
    yield Encoded("export", f"#!/bin/sh\nset -eu\nexport SERVICE_TOKEN='{line}'\nmake deploy\n")
    yield Encoded("dotenv", f"NODE_ENV=production\nAPI_SECRET={line}\nPORT=8080\n")
    yield Encoded("yaml", f"service:\n  name: billing\n  token: {json.dumps(value)}\n  replicas: 3\n")
    yield Encoded("python", f"import os\n\nclient = Client(api_key={value!r}, timeout=30)\n")
    yield Encoded("curl", f"curl -sS https://api.corp.example/v1/items -H 'X-Api-Key: {line}' -d '{{}}'\n")
    yield Encoded("diff", f"@@ -1,2 +1,2 @@\n-old = 1\n+{line}\n context\n")


def _in_json(value: str) -> Iterator[Encoded]:
    yield Encoded("json string", chat_request(f"{BEFORE}{value}{AFTER}"), JSON)
    arguments = json.dumps({"command": f"echo {value}", "timeout": 10})
    call = {"id": "call_1", "type": "function", "function": {"name": "shell", "arguments": arguments}}
    yield Encoded("json in json", json.dumps({"messages": [{"role": "assistant", "tool_calls": [call]}]}), JSON)
    yield Encoded("json thrice", json.dumps({"output": json.dumps({"stdout": arguments})}), JSON)
    yield Encoded("json escaped", '{"messages":[{"role":"user","content":"' + escape_all(value) + '"}]}', JSON)
    yield Encoded("json slashes", json.dumps({"text": value}).replace("/", "\\/"), JSON)
    yield Encoded("json key", json.dumps({"results": {value: 1}}), JSON)
    yield Encoded("json in text", chat_request(json.dumps({"env": [{"name": "AUTH_TOKEN", "value": value}]})), JSON)


def _encoded(value: str) -> Iterator[Encoded]:
    yield Encoded("base64", encode_base64(value))
    yield Encoded("base64url", encode_base64url(value))
    for shift in range(3):
        text = encode_base64(f"{'note'[: 2 + shift]}:\n{value}\nthanks\n")
        yield Encoded(
            f"base64 in json, shifted by {shift}", json.dumps({"file": {"name": "a.txt", "content": text}}), JSON
        )
    inside = encode_base64(json.dumps({"auths": {"registry.example": {"note": value}}}))
    yield Encoded("json in base64 in json", chat_request(f"the file says {inside} in full"), JSON)
    yield Encoded("base64 twice", json.dumps({"content": encode_base64(encode_base64(f"x: {value}\n"))}), JSON)
    yield Encoded("data url", chat_request(f"data:text/plain;base64,{encode_base64(BEFORE + value)}"), JSON)
    wrapped = base64.encodebytes(f"{BEFORE}{value}{AFTER}".encode()).decode()
    yield Encoded("base64 in lines", wrapped)
    yield Encoded("hex", value.encode().hex())
    yield Encoded("hex in json", json.dumps({"payload": f"{BEFORE}{value}".encode().hex().upper()}), JSON)


def _in_urls(value: str) -> Iterator[Encoded]:
    once = quote(value, safe="")
    yield Encoded("percent", f"GET /login?next={once} HTTP/1.1\n")
    yield Encoded("percent twice", f"GET /login?next={quote(once, safe='')} HTTP/1.1\n")
    yield Encoded("percent in full", f"GET /login?next={percent_all(value)} HTTP/1.1\n")
    yield Encoded("form", urlencode({"grant_type": "refresh_token", "token": value, "scope": "a b"}), FORM)
    yield Encoded("form in json", chat_request(urlencode({"a": 1, "note": f"it is {value} and", "b": 2})), JSON)
    yield Encoded("query", f"see https://api.corp.example/v1/items?limit=10&api_key={once}&page=2 for more")
    yield Encoded("userinfo", f"git clone https://build:{once}@git.corp.example/acme/app.git")
    yield Encoded("base64 in a query", f"https://app.corp.example/cb?state={encode_base64url('n=1&t=' + value)}&code=1")


SECRET_HEADERS = (
    "Authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "Cookie",
    "Set-Cookie",
    "Proxy-Authorization",
)
"""Headers whose value is a secret whatever it looks like."""


def headers(secret: Secret) -> Iterator[tuple[str, str]]:
    """`secret` in headers that are known by name, and in others, in which it has to be seen."""
    line = one_line(secret.value)
    for name in SECRET_HEADERS:
        yield name, line
        yield name.upper(), secret.random_part.replace("\n", "")
    yield "Authorization", f"Bearer {line}"
    yield "X-Note", line
    yield "X-Trace-Context", f"user=1; {line}; v=2"
    yield "X-Debug", json.dumps({"auth": secret.value})
    yield "X-Blob", encode_base64(f"{secret.value}\n")
    yield "Referer", f"https://app.corp.example/cb?code={quote(secret.value, safe='')}"


def targets(secret: Secret) -> Iterator[str]:
    """`secret` in the target of a request."""
    value, bare = quote(secret.value, safe=""), quote(secret.random_part, safe="")
    yield f"/v1beta/models/gemini-2.5-pro:generateContent?key={bare}&alt=sse"
    yield f"/v1/chat/completions?api_key={bare}"
    yield f"/v1/files/{value}/content"
    yield f"/v1/responses?note={value}"
    yield f"/v1/responses?note={percent_all(secret.value)}"
    yield f"https://user:{bare}@api.corp.example/v1/responses"
