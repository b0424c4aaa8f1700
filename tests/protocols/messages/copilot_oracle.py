"""What Copilot itself would say of a request: the simulator's checks, which refuse what the real one refuses."""

import json
from typing import Any

from copilot_api.protocols.base import Outgoing
from copilot_api.simulator.catalog import Catalog
from copilot_api.simulator.ids import Ids
from copilot_api.simulator.messages_checks import check_messages, read_betas

CATALOG = Catalog()
CATALOG.set_policy("claude-opus-4.7", "enabled")
SIGNATURE = Ids().signature()
"""A signature that Copilot knows for its own."""


def accepted(outgoing: Outgoing, *, is_counting: bool = False) -> dict[str, Any]:
    """The body of a request that Copilot accepts, whichever back end it meets; fails otherwise."""
    body = json.loads(outgoing.body)
    assert outgoing.headers["anthropic-version"] == "2023-06-01"
    betas = read_betas(outgoing.headers.get("anthropic-beta"))
    model = CATALOG.get(body["model"], "/v1/messages")
    is_strict = "format" not in body.get("output_config", {}) and not any(
        "strict" in tool for tool in body.get("tools", ())
    )
    check_messages(body, model, betas, "vertex" if is_strict else "bedrock", is_counting=is_counting)
    return body  # type: ignore[no-any-return]
