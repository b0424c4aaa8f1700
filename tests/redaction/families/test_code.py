"""Each rule of this file strikes what its vendor makes, by its own name and whole."""

import pytest

from copilot_api.redaction.families.code import CODE
from copilot_api.redaction.rule import Rule
from tests.redaction.samples import AROUND, assert_struck, make_secret


@pytest.mark.parametrize("rule", CODE, ids=lambda rule: rule.name)
@pytest.mark.parametrize("around", AROUND)
def test_a_rule_strikes_what_its_vendor_makes(rule: Rule, around: str) -> None:
    for seed in range(3):
        assert_struck(rule, make_secret(rule.shape, seed), around)
