import re

import pytest

from copilot_api.upstream.headers import (
    EDITOR_VERSION,
    GITHUB_API_VERSION,
    INTEGRATION_ID,
    INTENTS,
    USER_AGENT,
    copilot_headers,
    github_headers,
    header_lines,
)


def test_the_copilot_api_gets_what_an_editor_sends() -> None:
    headers = copilot_headers("tid=1", INTENTS["/chat/completions"])
    assert headers["authorization"] == "Bearer tid=1"
    assert headers["copilot-integration-id"] == INTEGRATION_ID
    assert headers["editor-version"] == EDITOR_VERSION
    assert headers["user-agent"] == USER_AGENT
    assert headers["openai-intent"] == headers["x-interaction-type"] == INTENTS["/chat/completions"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", headers["x-github-api-version"])


def test_github_gets_the_token_its_own_way_and_only_where_there_is_one() -> None:
    assert github_headers("ghu_1")["authorization"] == "token ghu_1"
    assert "authorization" not in github_headers()
    assert github_headers()["x-github-api-version"] == GITHUB_API_VERSION


def test_every_name_is_in_lower_case() -> None:
    for headers in (copilot_headers("b", "i"), github_headers("t")):
        assert all(name == name.lower() for name in headers)


def test_headers_are_lines() -> None:
    assert header_lines({"a": "1", "b": "2 3"}) == b"a: 1\r\nb: 2 3\r\n"
    assert header_lines({}) == b""


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b"])
def test_a_value_cannot_break_out_of_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        header_lines({"authorization": value})


def test_the_refusal_of_a_value_does_not_show_it() -> None:
    with pytest.raises(ValueError, match="authorization") as raised:
        header_lines({"authorization": "Bearer secret\n"})
    assert "secret" not in str(raised.value)
