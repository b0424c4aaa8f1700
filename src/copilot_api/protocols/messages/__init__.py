"""Anthropic Messages: the protocol of `POST /v1/messages`, as clients speak it and as Copilot does."""
