import pytest

from copilot_api.upstream.hosts import AccountType, Hosts

SIMULATED = Hosts(github="http://127.0.0.1:5000", github_api="http://127.0.0.1:5000")


def test_the_host_that_github_announces_is_followed() -> None:
    assert Hosts().copilot_api("https://api.business.githubcopilot.com/") == "https://api.business.githubcopilot.com"
    assert Hosts().copilot_api("https://copilot-api.octo.ghe.com") == "https://copilot-api.octo.ghe.com"


@pytest.mark.parametrize(
    "announced",
    [
        "https://evil.example",
        "https://githubcopilot.com.evil.example",
        "https://evilgithubcopilot.com",
        "https://api.githubcopilot.com@evil.example",
        "https://evil.example/api.githubcopilot.com",
        "https://evil.example#.githubcopilot.com",
        "https://evil.example?.githubcopilot.com",
        "http://api.githubcopilot.com",
        "ftp://api.githubcopilot.com",
        "//api.githubcopilot.com",
        "api.githubcopilot.com",
        "https://[api.githubcopilot.com",
        "https://",
        "javascript:alert(1)",
        "http://127.0.0.1:5000",
        "",
        None,
    ],
)
def test_the_token_is_sent_to_no_host_outside_of_copilots_domains(announced: str | None) -> None:
    assert Hosts().copilot_api(announced) == "https://api.githubcopilot.com"


@pytest.mark.parametrize(
    ("account_type", "url"),
    [
        (AccountType.INDIVIDUAL, "https://api.githubcopilot.com"),
        (AccountType.BUSINESS, "https://api.business.githubcopilot.com"),
        (AccountType.ENTERPRISE, "https://api.enterprise.githubcopilot.com"),
    ],
)
def test_without_an_announcement_the_account_type_decides(account_type: AccountType, url: str) -> None:
    assert Hosts(account_type=account_type).copilot_api(None) == url


def test_an_override_wins_over_every_announcement() -> None:
    hosts = Hosts(api="http://127.0.0.1:9")
    assert hosts.copilot_api("https://api.business.githubcopilot.com") == "http://127.0.0.1:9"


def test_a_replacement_of_github_may_announce_itself_and_nobody_else() -> None:
    assert SIMULATED.copilot_api("http://127.0.0.1:5000/") == "http://127.0.0.1:5000"
    for other in ("http://127.0.0.1:5001", "https://127.0.0.1:5000", "http://localhost:5000", "http://evil.example"):
        assert SIMULATED.copilot_api(other) == "https://api.githubcopilot.com"


def test_a_port_that_is_none_is_not_followed() -> None:
    assert SIMULATED.copilot_api("http://127.0.0.1:99999999") == "https://api.githubcopilot.com"
