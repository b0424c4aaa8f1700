"""No secret, prompt or header value is written anywhere but where it belongs, whatever happens."""

import base64
import json
import re
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from copilot_api.keys.secret import make_secret
from tests.faults.client import ask, chat, poll
from tests.faults.pair import read_events
from tests.harness import GITHUB_TOKEN, GatewayProcess, Program, Running, Simulator, http_json, wait_until

PLACES_FOR_SECRETS = {"github_token", "admin.key.txt"}
OTHER_VENDORS = ("sk-proj-" + "a1B2" * 12, "sk-ant-api03-" + "x9Y8" * 16, "AIza" + "Sy7z" * 9)


class LoggingGateway(GatewayProcess):
    """A gateway that logs all it ever does, in either form."""

    def _read(self, process: Running) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line) if "listening on" in line else None
            if found:
                self.url = found.group()
                self._listening.set()
        self._listening.set()


class Journey:
    """Everything that can happen to a secret, and what must not be found afterwards."""

    def __init__(self, simulator: Simulator, gateway: GatewayProcess) -> None:
        self.simulator = simulator
        self.gateway = gateway
        self.hidden: dict[str, str] = {"the GitHub token": GITHUB_TOKEN}
        """What must not be found, by what it is."""

    def hide(self, what: str, value: str) -> str:
        self.hidden[what] = value
        return value

    def make(self, what: str) -> str:
        """Something unique that must not be kept."""
        return self.hide(what, f"{what.rsplit(maxsplit=1)[-1]}-{secrets.token_hex(16)}")

    def make_calls(self) -> None:
        key = self.hide("a client key", self.gateway.create_key("journey"))
        headers = {
            "x-custom": self.make("a header value"),
            "user-agent": f"curl/8.0 {self.make('an agent')}",
            "cookie": f"session={self.make('a cookie')}",
            "x-request-id": self.make("a client's id"),
        }
        answer = self.make("an answer")
        say = f"SIM-SAY:{base64.urlsafe_b64encode(answer.encode()).decode().rstrip('=')}"
        for stream in (False, True):
            body = chat(f"{self.make('a prompt')} {say}", stream=stream, user=self.make("a user"))
            assert ask(self.gateway.url, key, body, headers=headers).text == answer
        body = {"model": "text-embedding-3-small", "input": self.make("an input")}
        assert ask(self.gateway.url, key, body, path="/v1/embeddings", headers=headers).status == 200
        for fault in ("cut", "500", "html-200", "midstream-error", "429", "401-expired", "garbage", "refused-close"):
            self.simulator.post("/_sim/faults", {"name": fault, "count": 1})
            body = chat(self.make("a prompt that failed"), stream=fault in {"cut", "midstream-error"})
            ask(self.gateway.url, key, body, headers=headers)
        self.simulator.post("/_sim/faults")
        ask(self.gateway.url, key, chat(self.make("a prompt too long") + " x" * 600_000), headers=headers)
        with socket.create_connection(self._address()) as caller:  # and one that hangs up
            caller.sendall(
                self._request("/v1/chat/completions", key, json.dumps(chat(self.make("a prompt cut short"))))
            )
        assert http_json("GET", f"{self.gateway.url}/usage", key=key)[0] == 200

    def send_bad_keys(self) -> None:
        for number, wrong in enumerate((make_secret(), *OTHER_VENDORS, GITHUB_TOKEN, "Basic c2VjcmV0OnNlY3JldA==")):
            self.hide(f"wrong key {number}", wrong)
            assert ask(self.gateway.url, wrong, chat()).status == 401
            for name in ("x-api-key", "api-key", "x-goog-api-key"):
                headers = {"authorization": "", name: wrong}
                assert ask(self.gateway.url, "", chat(), headers=headers).status == 401
            for path in (f"/v1beta/models/m:generateContent?key={wrong}", f"/v1/chat/completions?key={wrong}"):
                assert ask(self.gateway.url, "", chat(), path=path.replace(" ", "%20")).status in {401, 404}
            http_json("GET", f"{self.gateway.url}/v1/models/{wrong.replace(' ', '%20')}")
            http_json("GET", f"{self.gateway.url}/{wrong.replace(' ', '%20')}")
        for raw in (b"GET /?key=%b HTTP/9.9\r\n\r\n", b"%b\r\n\r\n", b"POST /v1/models HTTP/1.1\r\n%b\r\n\r\n"):
            with socket.create_connection(self._address(), timeout=10) as caller:
                caller.sendall(raw % self.hide(f"wrong key {raw!r}", make_secret()).encode())
                assert b"HTTP/1.1 4" in caller.recv(65536)

    def change_keys(self) -> None:
        issued = json.loads(self.gateway.cli("keys", "create", "--label", "short-lived", "--json"))
        rotated = json.loads(self.gateway.cli("keys", "rotate", issued["id"], "--overlap", "1h", "--json"))
        for secret in (self.hide("an old key", issued["key"]), self.hide("a rotated key", rotated["key"])):
            assert ask(self.gateway.url, secret, chat()).status == 200
        self.gateway.cli("keys", "revoke", issued["id"])
        assert ask(self.gateway.url, rotated["key"], chat()).status == 401
        self.hide("the recovered key", _key_in(self.gateway.cli("admin", "recover", "--json")))
        self.gateway.cli("keys", "list")

    def be_admin(self) -> None:
        admin = self.hide("the admin key", (self.gateway.home / "admin.key.txt").read_text().strip())
        token = http_json("GET", f"{self.gateway.url}/token", key=admin)[1]["token"]
        self.hide("a Copilot token", token)
        assert http_json("GET", f"{self.gateway.url}/usage", key=admin)[0] == 200

    def lose_the_token(self) -> None:
        """Expired, then refused, then given again."""
        key = self.hidden["a client key"]
        self.simulator.post("/_sim/expire-tokens")
        assert ask(self.gateway.url, key, chat()).status == 200
        self.simulator.post("/_sim/faults", {"name": "token_401_bad_github_token"})
        self.simulator.post("/_sim/expire-tokens")
        assert ask(self.gateway.url, key, chat()).status == 502
        self.simulator.post("/_sim/faults")
        wait_until(lambda: ask(self.gateway.url, key, chat()).status == 200, 40, "there is a token again")

    def collect_tokens(self) -> None:
        """Every bearer that the gateway has sent upstream, whole and in its parts."""
        for request in self.simulator.requests:
            bearer = request["headers"].get("authorization", "").partition(" ")[2]
            if bearer.startswith("tid="):
                fields, _, signature = bearer.partition(":")
                self.hide(f"a Copilot token {signature}", bearer)
                self.hide(f"its signature {signature}", signature)
                self.hide(f"its id {signature}", fields.partition("tid=")[2].partition(";")[0])

    def found(self) -> set[tuple[str, str]]:
        """Where something is that must not be there: the place, and what was found."""
        places = {"the output": self.gateway.output.encode()}
        for path in self.gateway.home.rglob("*"):
            if path.is_file() and path.name not in PLACES_FOR_SECRETS:
                places[str(path.relative_to(self.gateway.home))] = path.read_bytes()
        return {
            (place, what)
            for place, content in places.items()
            for what, value in self.hidden.items()
            if any(form in content for form in _forms(value))
        }

    def _address(self) -> tuple[str, int]:
        parts = urlsplit(self.gateway.url)
        return parts.hostname or "", parts.port or 0

    def _request(self, path: str, key: str, body: str) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


def _forms(value: str) -> Iterator[bytes]:
    """As it is, without its prefix (the start of a key may be shown), and in base64."""
    raw = value.encode()
    yield raw.removeprefix(b"sk-cap-")[8:] if raw.startswith(b"sk-cap-") else raw
    yield base64.b64encode(raw).rstrip(b"=")[:-2]
    yield raw.hex().encode()


def _key_in(text: str) -> str:
    found = re.search(r"sk-cap-[a-z2-7]{52}", text)
    assert found
    return found.group()


@pytest.mark.slow
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_that_is_secret_is_written_anywhere(log_format: str, home: Path) -> None:
    with Simulator() as simulator:
        home.mkdir(mode=0o700)
        (home / "github_token").write_text(f"{GITHUB_TOKEN}\n")
        gateway = LoggingGateway(home, simulator.url, "--verbose", "--log-format", log_format, github_token=None)
        with gateway:
            journey = Journey(simulator, gateway)
            journey.make_calls()
            journey.send_bad_keys()
            journey.be_admin()
            if log_format == "json":
                journey.change_keys()
            journey.lose_the_token()
            journey.collect_tokens()
            assert journey.found() == set()
            gateway.stop(signal.SIGKILL)  # what it leaves is on the disk
            assert journey.found() == set()
            gateway.start()
            assert ask(gateway.url, journey.hidden["a client key"], chat()).status == 200
            assert gateway.stop() == 0
        journey.collect_tokens()
        assert journey.found() == set()
        assert len([what for what in journey.hidden if what.startswith("its signature")]) >= 3
        check_that_it_looked(journey, log_format)


def check_that_it_looked(journey: Journey, log_format: str) -> None:
    """The search finds what is there: secrets in their own files, calls in the log, events in the database."""
    home = journey.gateway.home
    assert (home / "github_token").read_text().strip() == GITHUB_TOKEN
    assert _key_in((home / "admin.key.txt").read_text()) == journey.hidden["the admin key"]
    calls = [line for line in journey.gateway.lines if "/v1/chat/completions" in line]
    assert len(calls) > 20
    if log_format == "json":
        assert all(json.loads(line)["request_id"].startswith("req_") for line in calls)
    assert len(read_events(home)) > 20


def stored_event(gateway: GatewayProcess, request_id: str) -> dict[str, Any]:
    """The event of a call, once it is stored."""
    for _ in poll(5):
        for event in read_events(gateway.home):
            if event["request_id"] == request_id:
                return event
    raise AssertionError("its event does not arrive")


def test_events_hold_no_prompt_and_no_header_value(gateway: GatewayProcess, client_key: str) -> None:
    mark = secrets.token_hex(16)
    headers = dict.fromkeys(("user-agent", "x-custom", "referer", "x-forwarded-for", "openai-organization"), mark)
    body: dict[str, Any] = chat(mark, user=mark, metadata={"mark": mark})
    answer = ask(gateway.url, client_key, body, headers=headers)
    assert mark not in json.dumps(stored_event(gateway, answer.request_id))
    assert mark not in gateway.cli("usage", "--events", "--json")


def test_a_key_in_place_of_a_models_name_is_not_kept(gateway: GatewayProcess, client_key: str) -> None:
    """Two settings swapped in a client's configuration."""
    answer = ask(gateway.url, client_key, chat(model=client_key))
    assert answer.status == 404
    assert client_key[20:] not in json.dumps(stored_event(gateway, answer.request_id))
    assert client_key[20:] not in gateway.output


def test_a_models_name_is_kept_in_bounds(gateway: GatewayProcess, client_key: str) -> None:
    answer = ask(gateway.url, client_key, chat(model="m" * 1_000_000))
    assert answer.status == 404
    assert len(stored_event(gateway, answer.request_id)["model"]) <= 1000


def test_show_token_is_the_one_way_to_see_it(home: Path) -> None:
    gateway = LoggingGateway(home, "http://127.0.0.1:1", "--show-token")
    Program.start(gateway)
    gateway.stop()
    assert gateway.output.count(GITHUB_TOKEN) == 1
