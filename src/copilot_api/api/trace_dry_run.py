"""`POST /admin/api/traces/redact`: what redaction would make of a text. Nothing of it is kept, not even in a log."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from copilot_api.api.http_exchange import EXCHANGE, Receive, Scope
from copilot_api.api.intake import read_body
from copilot_api.capture.dry_run import run_dry
from copilot_api.errors import BadRequest, BodyTooLarge

MAX_BODY_BYTES = 64 * 1024
"""More would hold up calls: a regular expression keeps Python's lock."""
_HINT = 'send {"text": "…"}, and "media_type" where it matters'


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    media_type: str = ""


Run = Callable[..., Awaitable[dict[str, Any]]]


async def answer_dry_run(scope: Scope, receive: Receive, run: Run) -> dict[str, Any]:
    """The answer to a request. `run` calls what takes its time."""
    try:
        body = await read_body(receive, dict(scope["headers"]), MAX_BODY_BYTES, scope["extensions"].get(EXCHANGE))
    except BodyTooLarge as error:
        hint = "larger texts are tried with 'copilot-api traces redact', which needs no gateway"
        raise BodyTooLarge(error.message, hint=hint) from None
    try:
        asked = msgspec.json.decode(body, type=_Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"this is no text to try: {error}", hint=_HINT) from None
    return await run(_try, asked)


def _try(asked: _Asked) -> dict[str, Any]:
    return run_dry(asked.text.encode(), asked.media_type).to_document()
