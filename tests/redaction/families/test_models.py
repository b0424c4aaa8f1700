"""Each rule of this file strikes what its vendor makes, by its own name and whole."""

import pytest

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.families.models import MODELS
from copilot_api.redaction.rule import Rule
from tests.redaction.samples import AROUND, assert_struck, make_secret


@pytest.mark.parametrize("rule", MODELS, ids=lambda rule: rule.name)
@pytest.mark.parametrize("around", AROUND)
def test_a_rule_strikes_what_its_vendor_makes(rule: Rule, around: str) -> None:
    for seed in range(3):
        assert_struck(rule, make_secret(rule.shape, seed), around)


@pytest.mark.parametrize("tail", ["asdefnbolwxiup4dp0izcyw2tsogr3xv", "vrarhvnae3tlp9yvojxr4boccvve2okx", "krxunq2zshmhdkgsjabiv1w3hluwfbf"])  # fmt: skip
def test_a_key_whose_letters_can_be_said_aloud_is_one(tail: str) -> None:
    assert tail not in Redactor(b"salt").redact_text(f"sk-{tail}\n")


@pytest.mark.parametrize("text", ["sk-folding-cube2", "sk-fading-circle-container-12", "sk-internationalization2"])
def test_the_class_of_a_style_sheet_is_none(text: str) -> None:
    assert Redactor(b"salt").redact_text(text) == text
