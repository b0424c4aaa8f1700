"""The composition root: settings in, a running gateway out."""

import asyncio
import gc
import os
import resource
import shutil
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_api import app
from copilot_api.app import Storage, Surroundings
from copilot_api.clock import SystemClock
from copilot_api.config.binding import bind, shown_url
from copilot_api.config.settings import Settings, UpstreamSettings
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.events import CallEnded, Listening, Observation, Stopped, Stopping, TokenRenewed
from copilot_api.observability.fan_out import FanOut
from copilot_api.observability.metrics import Metrics
from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep, read_database_state
from copilot_api.storage.privacy import SqlPrivacyRepository
from copilot_api.storage.sessions import SqlSessionRepository
from copilot_api.upstream.identities import CredentialSource, Identity
from copilot_api.usage.models import UsageEvent
from tests.harness import GITHUB_TOKEN, Simulator, http_json
from tests.stored import Stored, open_stored

CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
IDENTITY = Identity(GITHUB_TOKEN, CredentialSource.FLAG)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """A gateway sets up its process for itself; this one is pytest's."""
    thresholds, files = gc.get_threshold(), resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    with open_stored(tmp_path / "data", SystemClock()) as found:
        yield found


@pytest.fixture
def client(stored: Stored) -> IssuedKey:
    return stored.keys.issue("client", actor="test")


class Gateway:
    """A gateway inside this process."""

    def __init__(self, stored: Stored, simulator_url: str, **settings: Any) -> None:
        self.stored = stored
        self.observed: list[Observation] = []
        self.url = ""
        self.identity: Identity | None = IDENTITY
        self.ask: Any = None
        self.failure: str | None = None
        upstream = UpstreamSettings(
            simulator_url, simulator_url, simulator_url, is_proxied=settings.pop("is_proxied", False)
        )
        self.settings = Settings(port=0, upstream=upstream, **{"drain_seconds": 5.0, **settings})

    def _probe(self) -> None:
        if self.failure is not None:
            raise StorageUnavailable(self.failure)

    def run(self, test: Callable[["Gateway"], Awaitable[None]]) -> None:
        """Serve while `test` runs, then be told to stop as a service is told."""
        listening = asyncio.Event()

        def heard(url: str) -> None:
            self.url = url
            listening.set()

        surroundings = Surroundings(
            self.stored.directory,
            Storage(
                self.stored.keys,
                self.stored.repository,
                self.stored.usage,
                self.stored.usage,
                self.stored.stops,
                self.stored.catalogs,
                self.stored.quotas,
                SqlLedgerUpkeep(self.stored.database),
                SqlPrivacyRepository(self.stored.database, self.stored.audit),
                SqlSessionRepository(self.stored.database, self.stored.audit),
                self._probe,
                lambda: read_database_state(self.stored.database),
            ),
            self.identity,
            SystemClock(),
            FanOut((self.observed.append, metrics := Metrics(SystemClock()))),
            metrics,
            self.stored.audit,
            self.ask,
            on_listening=heard,
        )
        sockets = bind("127.0.0.1", 0)
        url = shown_url("127.0.0.1", sockets[0].getsockname()[1], is_tls=self.settings.tls_cert is not None)

        async def live() -> None:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(app.serve(self.settings, surroundings, sockets, url))
                await listening.wait()
                try:
                    async with asyncio.timeout(20):
                        await test(self)
                finally:
                    assert not serving.done()
                    os.kill(os.getpid(), signal.SIGTERM)
                    async with asyncio.timeout(20):
                        await asyncio.wait([serving])

        asyncio.run(live())

    async def ask_json(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        return await asyncio.to_thread(http_json, method, self.url + path, body, key=key)

    async def ready(self) -> None:
        while (await self.ask_json("GET", "/readyz"))[0] != 200:
            await asyncio.sleep(0.02)

    def events(self) -> list[UsageEvent]:
        now = SystemClock().now()
        return list(self.stored.usage.list_events(now - timedelta(hours=1), now + timedelta(hours=1)))


@pytest.mark.parametrize("is_proxied", [False, True])
def test_everything_is_wired_together(
    stored: Stored, client: IssuedKey, simulator: Simulator, is_proxied: bool
) -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.ready()
        status, answer = await gateway.ask_json("POST", "/v1/chat/completions", CHAT, client.secret)
        assert (status, answer["model"]) == (200, "gpt-4.1")
        status, answer = await gateway.ask_json(
            "POST", "/embeddings", {"model": "text-embedding-3-small", "input": "x"}, client.secret
        )
        assert (status, answer["object"]) == (200, "list")
        assert (await gateway.ask_json("GET", "/v1/models", key=client.secret))[1]["data"]
        assert (await gateway.ask_json("GET", "/usage", key=client.secret))[0] == 200
        assert (await gateway.ask_json("GET", "/token", key=client.secret))[0] == 403
        assert (await gateway.ask_json("POST", "/v1/chat/completions", CHAT))[0] == 401
        told = (await gateway.ask_json("GET", "/metrics"))[1]
        assert 'copilot_api_key_requests_total{key="none"} 1.0' in told
        assert 'copilot_api_slots{identity="default"} 8.0' in told

    gateway = Gateway(stored, simulator.url, is_proxied=is_proxied)
    gateway.run(test)
    assert [event.status for event in gateway.events()] == [200, 200, 401], "everything is stored when it ends"
    kinds = [type(each) for each in gateway.observed]
    assert kinds.count(CallEnded) == 3
    assert TokenRenewed in kinds
    assert kinds[-2:] == [Stopping, Stopped]
    assert [each.url for each in gateway.observed if isinstance(each, Listening)] == [gateway.url]
    assert stored.keys.get(client.key.id).last_used_at is not None
    (refused,) = stored.audit.list_events(action="key.refused")
    assert (refused.target, refused.detail["count"], refused.address) == ("no key", 1, "127.0.0.1")
    assert refused.request_id == gateway.events()[-1].request_id, "one request has one id, wherever it is told"


def test_without_a_credential_it_serves_and_says_what_is_missing(
    stored: Stored, client: IssuedKey, simulator: Simulator
) -> None:
    async def test(gateway: Gateway) -> None:
        assert (await gateway.ask_json("GET", "/healthz"))[0] == 200
        status, answer = await gateway.ask_json("GET", "/readyz")
        assert (status, answer["checks"]["token"]["ok"]) == (503, False)
        assert "auth login" in answer["checks"]["token"]["reason"]

    gateway = Gateway(stored, simulator.url)
    gateway.identity = None
    gateway.run(test)


def test_a_database_that_cannot_be_written_is_not_ready_and_recovers(stored: Stored, simulator: Simulator) -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.ready()
        gateway.failure = "the disk is full"
        status, answer = await gateway.ask_json("GET", "/readyz")
        assert (status, answer["checks"]["database"]) == (503, {"ok": False, "reason": "the disk is full"})
        assert answer["checks"]["token"]["ok"]
        gateway.failure = None
        await gateway.ready()

    Gateway(stored, simulator.url).run(test)


def test_the_settings_are_in_force(stored: Stored, client: IssuedKey, simulator: Simulator) -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.ready()
        assert (await gateway.ask_json("POST", "/v1/chat/completions", {**CHAT, "user": "x" * 2000}, client.secret))[
            0
        ] == 413
        assert (await gateway.ask_json("POST", "/v1/chat/completions", CHAT, client.secret))[0] == 200
        status, answer = await gateway.ask_json("POST", "/v1/chat/completions", CHAT, client.secret)
        assert (status, answer["error"]["code"]) == (429, "rate_limited")

    Gateway(stored, simulator.url, max_body_bytes=1000, minimum_gap_seconds=60.0).run(test)


def test_an_open_gateway_asks_for_no_key(stored: Stored, simulator: Simulator) -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.ready()
        assert (await gateway.ask_json("POST", "/v1/chat/completions", CHAT))[0] == 200
        assert (await gateway.ask_json("GET", "/token"))[0] == 401

    Gateway(stored, simulator.url, is_open=True).run(test)


def test_a_manual_gateway_asks_the_operator(stored: Stored, client: IssuedKey, simulator: Simulator) -> None:
    questions: list[str] = []

    async def ask(question: str) -> bool:
        questions.append(question)
        return len(questions) == 1

    async def test(gateway: Gateway) -> None:
        await gateway.ready()
        statuses = [(await gateway.ask_json("POST", "/v1/chat/completions", CHAT, client.secret))[0] for _ in range(2)]
        assert statuses == [200, 403]

    gateway = Gateway(stored, simulator.url, is_approval_manual=True)
    gateway.ask = ask
    gateway.run(test)
    assert all("gpt-4.1" in question for question in questions)


def test_with_a_certificate_it_speaks_tls(
    stored: Stored, client: IssuedKey, simulator: Simulator, tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )  # fmt: skip

    def fetch(url: str) -> str:
        context = ssl.create_default_context(cafile=str(cert))
        with urllib.request.urlopen(url, context=context, timeout=10) as response:
            return str(response.read(), "utf-8")

    async def test(gateway: Gateway) -> None:
        assert gateway.url.startswith("https://")
        assert "ok" in await asyncio.to_thread(fetch, gateway.url + "/healthz")

    Gateway(stored, simulator.url, tls_cert=str(cert), tls_key=str(key)).run(test)
