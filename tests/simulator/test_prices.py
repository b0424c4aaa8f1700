"""Bills follow the catalog's prices, or the list."""

import pytest

from copilot_api.simulator.catalog import CHAT, MESSAGES, RESPONSES, Catalog
from copilot_api.simulator.prices import Tokens, render_copilot_usage


@pytest.mark.parametrize(
    ("model", "path", "tokens", "total"),
    [
        ("gpt-4.1", CHAT, Tokens(24, 5), 0),
        ("claude-sonnet-4.6", MESSAGES, Tokens(569, 54), 251_700_000),
        ("claude-sonnet-4.6", CHAT, Tokens(589, 57, cache_read=512), 123_960_000),
        ("claude-opus-4.7", MESSAGES, Tokens(5080, 62, cache_read=5071), 413_050_000),
        ("gpt-5.3-codex", RESPONSES, Tokens(812, 88, cache_read=640), 164_500_000),
    ],
)
def test_bills_as_recorded(model: str, path: str, tokens: Tokens, total: int) -> None:
    catalog = Catalog()
    catalog.set_policy(model, "enabled")
    bill = render_copilot_usage(catalog.get(model, path), tokens)
    assert bill["total_nano_aiu"] == total
    assert [detail["token_type"] for detail in bill["token_details"]] == [
        "input",
        "cache_read",
        "cache_write",
        "output",
    ]
    assert sum(detail["token_count"] for detail in bill["token_details"]) == tokens.input + tokens.output
