"""An error as the caller's protocol expects it, and the request id that goes with every answer."""

import itertools
import secrets
import time
from collections.abc import Callable, Container
from dataclasses import dataclass

from copilot_api.api.http_exchange import Scope
from copilot_api.api.rate_headers import anthropic_rate_headers, openai_rate_headers
from copilot_api.errors import GatewayError, Rate
from copilot_api.protocols import openai_errors
from copilot_api.protocols.gemini import errors as gemini_errors
from copilot_api.protocols.messages import errors as messages_errors

_process = secrets.token_hex(4)
_count = itertools.count()
_REQUEST_ID = "request_id"


def new_request_id() -> str:
    """
    A fresh request id: it keys the usage event and the log line. Never one that a client chose: those may repeat.

    Time, process, count: unique without asking the kernel for randomness on every call, and in the order of arrival, so
    that the ledger's index grows at its end.
    """
    return f"req_{time.time_ns() // 1_000_000:011x}{_process}{next(_count) & 0xFFFFF:05x}"


def request_id_of(scope: Scope) -> str:
    """The id of a request: made when it is first asked for, the same from then on."""
    state = scope["state"]
    found: str | None = state.get(_REQUEST_ID)
    if found is None:
        found = state[_REQUEST_ID] = new_request_id()
    return found


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """How one ecosystem writes an error."""

    status: Callable[[GatewayError], int]
    body: Callable[[GatewayError, str], bytes]
    request_id_headers: tuple[bytes, ...] = (b"x-request-id",)
    rate_headers: Callable[[tuple[Rate, ...]], list[tuple[bytes, bytes]]] = openai_rate_headers
    """How the limits per minute stand, in headers."""


OPENAI = ErrorForm(lambda error: error.actual_status, openai_errors.error_body)
ANTHROPIC = ErrorForm(
    messages_errors.error_status, messages_errors.error_body, (b"x-request-id", b"request-id"), anthropic_rate_headers
)
GEMINI = ErrorForm(gemini_errors.error_status, gemini_errors.error_body)
_GEMINI_ACTIONS = {"generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"}


def error_form_for(path: str, headers: list[tuple[bytes, bytes]]) -> ErrorForm:
    """The form that a caller of `path` reads; of the list of models, which all share, the headers say who calls."""
    if path.startswith("/v1beta"):
        return GEMINI
    if path.startswith(("/v1/messages", "/messages", "/v1/v1/messages")):
        return ANTHROPIC
    if path.startswith(("/v1/models", "/models")):
        names = {name for name, _ in headers}
        if is_google(names) or path.rpartition(":")[2] in _GEMINI_ACTIONS:
            return GEMINI
        if b"anthropic-version" in names:
            return ANTHROPIC
    return OPENAI


def is_google(names: Container[bytes]) -> bool:
    """Whether one of Google's clients calls, by the headers that it sends: its SDK asks below `/v1` as well."""
    return b"x-goog-api-client" in names or (b"x-goog-api-key" in names and b"authorization" not in names)
