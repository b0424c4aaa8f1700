"""
Who we say we are: an editor with the Copilot Chat extension, since that is the client whose tokens are used.

Stale versions are answered with 466 or a CDN challenge, so they stand here in one place (protocol reference, 5).
"""

from collections.abc import Mapping

EDITOR_VERSION = "vscode/1.120.0"
PLUGIN_VERSION = "copilot-chat/0.48.1"
USER_AGENT = "GitHubCopilotChat/0.48.1"
API_VERSION = "2026-06-01"
GITHUB_API_VERSION = "2025-04-01"
INTEGRATION_ID = "vscode-chat"

MODELS_INTENT = "model-access"
INTENTS = {
    "/chat/completions": "conversation-panel",
    "/responses": "conversation-panel",
    "/v1/messages": "conversation-panel",
    "/v1/messages/count_tokens": "conversation-panel",
    "/embeddings": "copilot-panel",
}
"""What each endpoint is called for, in GitHub's words."""


def github_headers(github_token: str | None = None) -> dict[str, str]:
    """
    For github.com and api.github.com. An editor's user agent: others are refused by fingerprint (`go_http_client`).
    """
    headers = {
        "accept": "application/json",
        "editor-version": EDITOR_VERSION,
        "editor-plugin-version": PLUGIN_VERSION,
        "user-agent": USER_AGENT,
        "x-github-api-version": GITHUB_API_VERSION,
        "x-vscode-user-agent-library-version": "electron-fetch",
    }
    if github_token is not None:
        headers["authorization"] = f"token {github_token}"
    return headers


def copilot_headers(bearer: str, intent: str) -> dict[str, str]:
    """For the Copilot API, whatever the call."""
    return {
        "authorization": f"Bearer {bearer}",
        "copilot-integration-id": INTEGRATION_ID,
        "editor-version": EDITOR_VERSION,
        "editor-plugin-version": PLUGIN_VERSION,
        "user-agent": USER_AGENT,
        "x-github-api-version": API_VERSION,
        "openai-intent": intent,
        "x-interaction-type": intent,
        "x-vscode-user-agent-library-version": "electron-fetch",
    }


def header_lines(headers: Mapping[str, str]) -> bytes:
    """The headers as lines on the wire. Raises `ValueError` on a value that would break out of its line."""
    for name, value in headers.items():
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"the header {name} holds a line break")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
