"""Google's own Python package, unmodified, on a gateway that is nothing but this protocol: answers come from a script."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
from google import genai
from google.genai import types

from copilot_api.errors import GatewayError, UpstreamRateLimited
from copilot_api.protocols.base import AnswerHead, Envelope
from copilot_api.protocols.conversation import Answer, ModelRequest, events_of
from copilot_api.protocols.gemini.errors import error_body, error_status
from copilot_api.protocols.gemini.model_list import render_model, render_model_list
from copilot_api.protocols.gemini.request import parse_count_request, parse_request, read_conversation
from copilot_api.protocols.gemini.response import render_answer, render_count
from copilot_api.protocols.gemini.writer import GeminiWriter
from copilot_api.protocols.model_list import ListedModel

HEAD = AnswerHead(model="gpt-4.1", request_id="req_1", now=1_780_000_000, input_estimate=7)
TOKENS = 42


class ScriptedGateway:
    """Answers one call after the other from `answers`; keeps what it was asked."""

    def __init__(
        self, *answers: Answer | GatewayError, models: Sequence[ListedModel] = (), fails_after: int = -1
    ) -> None:
        self._answers = list(answers)
        self._models = list(models)
        self._fails_after = fails_after
        """After how many events a stream fails, where it does."""
        self.asked: list[ModelRequest] = []
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []

        transport = httpx2.MockTransport(self._handle)
        options = types.HttpOptions(base_url="http://gateway", client_args={"transport": transport})
        self.client = genai.Client(api_key="sk-cap-test", http_options=options)
        """The official client, pointed here. It closes itself once nobody holds it."""

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.paths.append(request.url.raw_path.decode())
        assert request.headers["x-goog-api-key"] == "sk-cap-test"
        try:
            return self._respond(request)
        except GatewayError as error:
            return httpx2.Response(error_status(error), content=error_body(error, "req_1"))

    def _respond(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            _, _, name = request.url.path.partition("/models/")
            found = [render_model(model) for model in self._models if model.id == name]
            return httpx2.Response(200, json=found[0] if name else render_model_list(self._models))
        self.bodies.append(json.loads(request.content))
        name, _, action = request.url.path.rpartition("/")[2].rpartition(":")
        envelope = Envelope(model=name, is_streamed=action == "streamGenerateContent")
        if action == "countTokens":
            self.asked.append(read_conversation(parse_count_request(request.content, envelope)))
            return httpx2.Response(200, content=render_count(TOKENS))
        parsed = parse_request(request.content, envelope)
        self.asked.append(read_conversation(parsed))
        answer = self._answers.pop(0)
        if isinstance(answer, GatewayError):
            raise answer
        if action == "generateContent":
            return httpx2.Response(200, content=render_answer(answer, parsed, HEAD))
        assert request.url.params["alt"] == "sse"
        return httpx2.Response(200, content=self._stream(answer, GeminiWriter(parsed, HEAD)))

    def _stream(self, answer: Answer, writer: GeminiWriter) -> Iterator[bytes]:
        for place, event in enumerate(events_of(answer)):
            if place == self._fails_after:
                yield writer.fail(UpstreamRateLimited("slow down", retry_after=12), "req_1")
                return
            yield writer.keep_alive()
            yield writer.write(event)
