"""Headers are redacted by name whatever they hold, and all others by what they look like."""

import pytest

from copilot_api.redaction.headers import find_in_header, find_in_target, find_in_text

TOKEN = "ghp_" + "A1b2C3d4" * 5


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "Proxy-Authorization", "COOKIE", "set-cookie", "x-api-key", "api-key", "x-goog-api-key", "x-github-token", "x-amz-security-token", "X-Auth-Email", "x-session",
        "x-secret-thing", "x-password", "cf-access-client-secret", "x-csrf-token", "x-vault-token", "x-hub-signature-256",
    ],
)  # fmt: skip
def test_a_secret_header_is_redacted_whatever_it_holds(name: str) -> None:
    (edit,) = find_in_header(name, "x")
    assert (edit.start, edit.end, edit.hit.rule) == (0, 1, "header")


@pytest.mark.parametrize(("name", "value"), [("x-request-id", "req_0123456789abcdef0123"), ("x-ratelimit-limit-tokens", "100"), ("idempotency-key", "a" * 20), ("etag", '"0a1b2c3d4e5f60718293a4b5c6d7e8f9"'), ("authorization", ""), ("authorization", "Bearer [redacted:header:0a1b2c]"), ("www-authenticate", "Bearer realm=x")])  # fmt: skip
def test_harmless_headers_stay(name: str, value: str) -> None:
    assert find_in_header(name, value) == []


def test_the_scheme_stays_and_a_known_form_gives_its_name() -> None:
    (edit,) = find_in_header("Authorization", f"Bearer {TOKEN}")
    assert (edit.start, edit.end, edit.hit.rule) == (7, 7 + len(TOKEN), "github-token")


def test_other_headers_go_through_the_rules() -> None:
    assert [edit.hit.secret for edit in find_in_header("x-note", f"a {TOKEN}")] == [TOKEN]
    assert [edit.hit.secret for edit in find_in_text(f"a {TOKEN}")] == [TOKEN]


def test_a_target_is_searched_by_names_and_by_text() -> None:
    assert {edit.hit.secret for edit in find_in_target(f"/x/{TOKEN}?key=k")} == {TOKEN, "k"}
