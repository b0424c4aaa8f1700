"""The official OpenAI SDK at the end of a wire that ends in the test: what it makes of the gateway's bytes."""

from typing import Any

import httpx2
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent


def client(body: bytes, content_type: str = "text/event-stream", status: int = 200) -> OpenAI:
    """A client that gets `body` for whatever it asks."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    return OpenAI(
        api_key="key",
        base_url="http://gateway/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


def accumulated(stream: bytes) -> Response:
    """The final response that the stream helper gathers; it asserts much of the grammar on its way."""
    with client(stream) as openai, openai.responses.stream(model="m", input="x") as events:
        return events.get_final_response()


def raw_events(stream: bytes) -> list[ResponseStreamEvent]:
    """The events of `create(stream=True)`."""
    with client(stream) as openai:
        return list(openai.responses.create(model="m", input="x", stream=True))


def whole(body: bytes) -> Response:
    """The response of `create()`."""
    with client(body, "application/json") as openai:
        return openai.responses.create(model="m", input="x")


def plain(response: Response) -> dict[str, Any]:
    """A response as the SDK understood it, without what its helpers add."""
    found = response.model_dump(mode="json", exclude_unset=True)
    for item in found["output"]:
        item.pop("parsed_arguments", None)
        for part in item.get("content") or []:
            part.pop("parsed", None)
    return found
