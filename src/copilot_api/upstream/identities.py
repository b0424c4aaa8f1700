"""Whose GitHub credential a call rides on."""

from dataclasses import dataclass, field
from enum import StrEnum

from copilot_api.errors import BadRequest, GatewayError

DEFAULT_IDENTITY = "default"

_DIRECT_PREFIXES = ("gho_", "github_pat_")
_EXCHANGED_PREFIXES = ("ghu_",)


class IdentityNotFound(GatewayError):
    """No identity by that id."""

    number, code, status = 314, "identity_not_found", 404
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "GET /admin/api/identities lists those that there are"


class CredentialSource(StrEnum):
    """Where the token came from; never what it is."""

    FLAG = "--github-token or GH_TOKEN"
    FILE = "github_token file"


@dataclass(frozen=True, slots=True)
class Identity:
    """One GitHub identity. Its token stays out of every repr."""

    github_token: str = field(repr=False)
    source: CredentialSource
    id: str = DEFAULT_IDENTITY

    @property
    def is_exchanged(self) -> bool:
        """
        Whether the token must be exchanged for a Copilot token; others are the API's bearer themselves.

        A kind that is not known is exchanged: that is what every kind was for years.
        """
        return not self.github_token.startswith(_DIRECT_PREFIXES)

    @property
    def kind(self) -> str:
        """The token's kind in words."""
        if self.github_token.startswith(_EXCHANGED_PREFIXES):
            return "GitHub App user token (exchanged for Copilot tokens)"
        if self.github_token.startswith("gho_"):
            return "OAuth App token (used directly)"
        if self.github_token.startswith("github_pat_"):
            return "fine-grained personal token (used directly)"
        return "token of an unknown kind (exchanged for Copilot tokens)"


def parse_github_token(text: str) -> str:
    """The token in `text`. Raises `BadRequest` when GitHub will not take it for Copilot, before it is sent anywhere."""
    token = text.strip()
    if (
        not token
        or not token.isascii()
        or any(character.isspace() or not character.isprintable() for character in token)
    ):
        raise BadRequest("the GitHub token is empty or holds characters that no token has")
    if token.startswith("ghp_"):
        raise BadRequest(
            "GitHub does not accept classic personal access tokens (ghp_) for Copilot",
            hint="run 'copilot-api auth login', or make a fine-grained token (github_pat_) with 'Copilot Requests'",
        )
    return token
