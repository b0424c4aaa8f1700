"""Each rule of this file strikes what its vendor makes, by its own name and whole."""

import pytest

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.families.standards import STANDARDS
from copilot_api.redaction.rule import Rule
from tests.redaction.samples import AROUND, assert_struck, make_secret


@pytest.mark.parametrize("rule", STANDARDS, ids=lambda rule: rule.name)
@pytest.mark.parametrize("around", AROUND)
def test_a_rule_strikes_what_its_vendor_makes(rule: Rule, around: str) -> None:
    for seed in range(3):
        assert_struck(rule, make_secret(rule.shape, seed), around)


@pytest.mark.parametrize("head", ["Version: GnuPG v2", "Comment: made for tests", "Hash: SHA512", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF"])  # fmt: skip
def test_a_key_block_with_a_header_is_struck_where_it_is_cut_off_in_its_end(head: str) -> None:
    lines = [f"{number}aB3x{'QUJD' * 14}" for number in range(3)]
    text = "\n".join(["-----BEGIN PGP PRIVATE KEY BLOCK-----", head, "", *lines, "=OO3o", "-----END PGP PRIV"])
    kept = Redactor(b"salt").redact_text(text)
    assert "QUJD" not in kept
    assert "OO3o" not in kept
