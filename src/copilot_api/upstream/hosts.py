"""Which hosts to talk to: GitHub's login, GitHub's API, and the Copilot API of the account."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

_COPILOT_SUFFIXES = (".githubcopilot.com", ".ghe.com")


class AccountType(StrEnum):
    """Which Copilot plan the account is on; decides the API host when the token does not say."""

    INDIVIDUAL = "individual"
    BUSINESS = "business"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base URLs without a trailing slash. `api` overrides whatever the token says (tests, GHE.com)."""

    github: str = "https://github.com"
    github_api: str = "https://api.github.com"
    api: str | None = None
    account_type: AccountType = AccountType.INDIVIDUAL

    def copilot_api(self, announced: str | None) -> str:
        """
        The Copilot API to use: the override, else what GitHub `announced` for this account, else by account type.

        An announced host is followed only inside Copilot's own domains: it receives the account's token. Where GitHub
        itself is replaced, its replacement may also announce its own host.
        """
        if self.api is not None:
            return self.api
        if announced and self._is_trusted(announced):
            return announced.rstrip("/")
        if self.account_type is AccountType.INDIVIDUAL:
            return "https://api.githubcopilot.com"
        return f"https://api.{self.account_type}.githubcopilot.com"

    def _is_trusted(self, url: str) -> bool:
        try:
            parts, ours = urlsplit(url), urlsplit(self.github_api)
            places = [(each.scheme, each.hostname, each.port) for each in (parts, ours)]
        except ValueError:
            return False
        if parts.scheme == "https" and (parts.hostname or "").endswith(_COPILOT_SUFFIXES):
            return True
        is_replaced = ours.hostname != "api.github.com"
        return is_replaced and places[0] == places[1]
