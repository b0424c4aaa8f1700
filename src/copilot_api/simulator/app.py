"""The ASGI application: three upstream hosts and the control interface behind one port."""

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from copilot_api.simulator import copilot, github
from copilot_api.simulator.catalog import CHAT, COUNT_TOKENS, EMBEDDINGS, MESSAGES, RESPONSES
from copilot_api.simulator.control import PREFIX, answer_control
from copilot_api.simulator.delivery import TRANSPORT_EXTENSION, Delivery, Send
from copilot_api.simulator.faults import TOKEN_PATH
from copilot_api.simulator.http import Outgoing, Request
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.replies import Refusal, recorded_errors, text_reply
from copilot_api.simulator.simulation import Simulation

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Endpoint = Callable[[Simulation, Request], Outgoing]

_POLICY_PATH = re.compile(r"/models/([^/]+)/policy")
_MOST_FAILURES = 20
_ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "/login/device/code"): github.start_device_flow,
    ("POST", "/login/oauth/access_token"): github.poll_device_flow,
    ("GET", "/user"): github.show_user,
    ("GET", TOKEN_PATH): github.exchange_token,
    ("GET", "/copilot_internal/user"): github.show_quota,
    ("GET", "/models"): copilot.list_models,
    ("POST", "/models/session"): copilot.open_session,
    ("GET", "/_ping"): copilot.ping,
    ("POST", CHAT): copilot.converse,
    ("POST", RESPONSES): copilot.converse,
    ("POST", MESSAGES): copilot.converse,
    ("POST", COUNT_TOKENS): copilot.count_message_tokens,
    ("POST", EMBEDDINGS): copilot.embed_texts,
}
_PATHS = {path for _, path in _ROUTES}


def create_app(options: SimulatorOptions | None = None) -> "SimulatorApp":
    """A simulator of its own, with its own state."""
    return SimulatorApp(options or SimulatorOptions())


class SimulatorApp:
    """Speaks ASGI; `simulation` is its state, for tests that share its process."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.simulation = Simulation(options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's life."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        simulation, options = self.simulation, self.simulation.options
        extensions: dict[str, Any] = scope.get("extensions") or {}
        transport = extensions.get(TRANSPORT_EXTENSION)
        path: str = scope["path"]
        if path.startswith(PREFIX):
            body = await _read_body(receive, options.max_body_bytes)
            if body is not None:
                delivery = Delivery(send, transport, simulation, lambda _: None)
                await self._answer(_request(scope, body), delivery, answer_control, {})
            return
        is_model_call = scope["method"] == "POST" and path in copilot.MODEL_CALLS
        stats = simulation.stats
        settle = partial(stats.settle, is_model_call=is_model_call)
        delivery = Delivery(send, transport, simulation, settle)
        stats.requests += 1
        stats.by_path[path if path in _PATHS else "other"] += 1
        if is_model_call:
            stats.begin_call()
        try:
            await self._simulate(scope, receive, delivery)
        finally:
            settle(delivery.progress)

    async def _simulate(self, scope: Scope, receive: Receive, delivery: Delivery) -> None:
        options = self.simulation.options
        body = await _read_body(receive, options.max_body_bytes)
        if body is None:
            return
        request = _request(scope, body)
        self.simulation.log.record(request.method, request.path, scope["headers"], body)
        headers = {
            "x-request-id": request.header("x-request-id") or self.simulation.ids.uuid(),
            "x-github-request-id": self.simulation.ids.hex(28).upper(),
        }
        await _until_disconnect(self._answer(request, delivery, self._route, headers), receive)

    def _route(self, simulation: Simulation, request: Request) -> Outgoing:
        """The endpoint's answer; the faults of model calls are theirs to find."""
        if len(request.body) > simulation.options.max_body_bytes:
            raise Refusal(recorded_errors()["payload_too_large"])
        fault = None
        if request.path not in copilot.MODEL_CALLS:
            fault = simulation.rules.pick(request.path, is_model_call=False)
            if fault:
                simulation.stats.faults[fault.name] += 1
            if fault and fault.reply:
                raise Refusal(fault.reply)
        outgoing = _endpoint(request)(simulation, request)
        return Outgoing(outgoing.reply, fault=fault) if fault else outgoing

    async def _answer(self, request: Request, delivery: Delivery, endpoint: Endpoint, headers: dict[str, str]) -> None:
        try:
            outgoing = endpoint(self.simulation, request)
        except Refusal as refusal:
            outgoing = Outgoing(refusal.reply)
        except Exception:  # noqa: BLE001 -- a bug here must not look like a fault of the upstream
            self._note_failure()
            outgoing = Outgoing(recorded_errors()["plain_bad_request"])
        try:
            await delivery.deliver(outgoing, headers)
        except ConnectionResetError:
            if not delivery.progress.is_broken:
                raise
        except Exception:
            self._note_failure()
            raise

    def _note_failure(self) -> None:
        failures = self.simulation.stats.failures
        failures.append(traceback.format_exc())
        del failures[:-_MOST_FAILURES]


def _endpoint(request: Request) -> Endpoint:
    endpoint = _ROUTES.get((request.method, request.path))
    if endpoint is not None:
        return endpoint
    policy = _POLICY_PATH.fullmatch(request.path)
    if policy and request.method == "POST":
        model_id = policy[1]
        return lambda simulation, asked: copilot.set_policy(simulation, asked, model_id)
    if request.path in _PATHS:
        raise Refusal(text_reply("Method Not Allowed\n", 405))
    raise Refusal(recorded_errors()["not_found"])


def _request(scope: Scope, body: bytes) -> Request:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(scope["method"], scope["path"], scope.get("scheme", "http"), headers, body)


async def _read_body(receive: Receive, most: int) -> bytes | None:
    """The whole body; one byte too many of one that is too long, None when the client left."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if size <= most:
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
        if not message.get("more_body", False):
            return b"".join(chunks)[: most + 1]


async def _until_disconnect(work: Awaitable[None], receive: Receive) -> None:
    """Do the work, but stop at once when the client goes away."""

    async def watch(task: asyncio.Task[None]) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        task.cancel()

    async def do() -> None:
        await work

    async with asyncio.TaskGroup() as group:
        task = group.create_task(do())
        watcher = group.create_task(watch(task))
        task.add_done_callback(lambda _: watcher.cancel())


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
