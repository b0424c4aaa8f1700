"""What of a request stands outside its body: Anthropic's betas in a header, Gemini's model and action in the path."""

import urllib.parse

from copilot_api.api.http_exchange import Scope
from copilot_api.api.intake import RequestHead
from copilot_api.protocols.base import Envelope

_MAX_BETAS = 64


def anthropic_envelope(scope: Scope, head: RequestHead) -> Envelope:
    """The betas that the client asks for; those named in the query (`?beta=true`) say nothing."""
    raw = head.get(b"anthropic-beta", b"").decode("latin-1")
    betas = [beta.strip() for beta in raw.split(",")]
    return Envelope(betas=tuple(dict.fromkeys(beta for beta in betas[:_MAX_BETAS] if beta)))


def gemini_envelope(scope: Scope, head: RequestHead) -> Envelope:
    """Model and action: `/v1beta/models/{model}:{action}`, where the model's name may itself hold a colon."""
    model, _, action = scope["state"]["rest"].rpartition(":")
    is_streamed = action == "streamGenerateContent"
    query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
    return Envelope(
        model=urllib.parse.unquote(model).removeprefix("models/"),
        is_streamed=is_streamed,
        is_array=is_streamed and query.get("alt") != ["sse"],
    )
