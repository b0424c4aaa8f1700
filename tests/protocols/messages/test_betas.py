import pytest

from copilot_api.protocols.messages.betas import EFFORT, beta_headers, filter_betas, has_family, parse_refused_betas


def test_families_that_copilot_takes_go_up_and_the_rest_stays() -> None:
    claude_code = (
        "claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27",
        "per-turn-control-2026-07-01", "advanced-tool-use-2025-11-20", EFFORT, "context-1m-2025-08-07",
    )  # fmt: skip
    assert filter_betas(claude_code) == (
        "interleaved-thinking-2025-05-14", "context-management-2025-06-27", "advanced-tool-use-2025-11-20", EFFORT,
    )  # fmt: skip


def test_a_value_may_be_a_list_and_each_beta_counts_once() -> None:
    assert filter_betas((f" {EFFORT} ,compact-1,", EFFORT)) == (EFFORT, "compact-1")


def test_what_would_break_out_of_the_header_is_no_beta() -> None:
    assert filter_betas(("effort-1\r\nx: y", "effort-\x00", "effort-" + "x" * 200)) == ()


def test_pitfall_036_an_empty_header_is_left_out() -> None:
    assert beta_headers(()) == {}
    assert beta_headers((EFFORT, EFFORT, "compact-1")) == {"anthropic-beta": f"{EFFORT},compact-1"}


def test_a_family_is_known_by_its_name_without_the_date() -> None:
    assert has_family(("compact-2026-01-12",), "context-management-", "compact-")
    assert not has_family(("compact-2026-01-12",), "context-management-")


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("unsupported beta header(s): context-1m-2025-08-07", ("context-1m-2025-08-07",)),
        ("Unsupported beta header(s): a-1, b-2\nmore", ("a-1", "b-2")),
        ("unsupported beta header(s):", ()),
        ("model not supported", ()),
        ("", ()),
    ],
)
def test_a_refusal_names_the_betas(message: str, named: tuple[str, ...]) -> None:
    assert parse_refused_betas(message) == named
