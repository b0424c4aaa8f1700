"""A value without a form of its own is known by the name before it."""

import re

import pytest

from copilot_api.redaction.families.shapes import near


@pytest.mark.parametrize(
    "text",
    [
        "acme_api_key=0123456789abcdef", 'ACME_TOKEN: "0123456789abcdef"', "acme-secret => '0123456789abcdef'", '"acmeApiKey":"0123456789abcdef"',
        '\\"acme_key\\": \\"0123456789abcdef\\"', 'env["ACME_KEY"] = "0123456789abcdef"', "acme pass := 0123456789abcdef",
    ],
)  # fmt: skip
def test_a_name_and_its_value_are_seen_in_every_notation(text: str) -> None:
    found = re.search(near("acme", "[0-9a-f]{16}"), text, re.IGNORECASE)
    assert found is not None
    assert found[1] == "0123456789abcdef"


@pytest.mark.parametrize(
    "text", ["acme 0123456789abcdef", "acme_id=0123456789abcdef", "acme_key=0123456789abcdef0", "key=0123456789abcdef"]
)
def test_without_the_name_it_is_nothing(text: str) -> None:
    assert re.search(near("acme", "[0-9a-f]{16}"), text, re.IGNORECASE) is None
