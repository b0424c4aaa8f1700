"""OpenAI Responses: the protocol of `POST /v1/responses`, as clients speak it and as Copilot does."""
