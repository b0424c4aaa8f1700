"""How messages call what stands in the file."""

import pytest

from copilot_api.config.wording import Path, did_you_mean, render_path, shown


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "$"),
        (("limits", "max_body_mb"), "$.limits.max_body_mb"),
        (("limits", "budgets", 2), "$.limits.budgets[2]"),
        (("$schema",), "$.$schema"),
        (("models", "fast-one", "note"), "$.models.fast-one.note"),
        (("models", "gpt-5.4", "fallback", 0), '$.models["gpt-5.4"].fallback[0]'),
        (("models", 'a"b', "note"), '$.models["a\\"b"].note'),
        (("models", "", "note"), '$.models[""].note'),
        (("models", "é\x1b[31m"), '$.models["\\u00e9\\u001b[31m"]'),
        (("x" * 33,), '$["xxxxxxxxxxxx..."]'),
    ],
)
def test_a_path_can_be_read_and_holds_nothing_that_a_terminal_obeys(path: Path, text: str) -> None:
    assert render_path(path) == text


def test_long_text_is_not_shown_since_it_may_be_a_secret() -> None:
    assert shown("x" * 32) == '"' + "x" * 32 + '"'
    assert shown("ghu_" + "s" * 36) == '"ghu_ssssssss..."'
    assert shown("\x1b[31m") == '"\\u001b[31m"'


def test_a_typo_is_recognised_and_nonsense_is_not() -> None:
    known = ["max_body_mb", "budgets"]
    assert did_you_mean("max_body", known) == "; did you mean max_body_mb?"
    assert did_you_mean("Budget", known) == "; did you mean budgets?"
    assert did_you_mean("zzz", known) == did_you_mean("", known) == did_you_mean("budgets" * 100, known) == ""
