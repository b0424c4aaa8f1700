"""The flags of a running gateway: what each does, what does not go together, and the guard on `--no-auth`."""

import ipaddress
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from copilot_api.cli.gateway_options import GatewayFlags, make_settings
from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.config.schema import ConfigFile, DefaultKey, Features, Limits, Metrics, OpenTelemetry
from copilot_api.config.settings import AdmissionLimits, MetricsSettings, QueueSettings, Settings
from copilot_api.observability.otel import OtelTarget
from tests.cli.conftest import Cli
from tests.harness import GITHUB_TOKEN, GatewayProcess, Simulator, free_environment, wait_until
from tests.journeys.commands import JsonLoggingGateway, ListeningGateway, admin_key, run_gateway
from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT, opened, send

RISK = "--i-accept-account-suspension-risk"
LOOPBACK = ["127.0.0.1", "127.0.0.2", "localhost", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"]
NOT_LOOPBACK = [
    "0.0.0.0",
    "::",
    "[::]",
    "0",
    "",
    "::ffff:0.0.0.0",
    "::ffff:192.0.2.1",
    "::127.0.0.1",
    "192.0.2.1",
    "fe80::1",
    "127.1",
    "127.0.0.1.example.com",
    "127.0.0.1.nip.io",
    "localhost.example.com",
    "localhost.localdomain",
    "notlocalhost",
    "127.0.0.1@example.com",
    "127.0.0.1:80",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.1 example.com",
    "①②⑦.0.0.1",
]


def audited_starts(home: Path) -> list[dict[str, Any]]:
    """What the audit log says of starts without authentication."""
    lines = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    return [line for line in lines if "without_authentication" in json.dumps(line)]


def port_of(url: str) -> int:
    """The port in a URL."""
    return int(url.rpartition(":")[2])


# Without authentication ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", LOOPBACK)
def test_no_auth_is_allowed_on_loopback_with_a_warning_and_on_record(
    home: Path, simulator: Simulator, host: str
) -> None:
    with GatewayProcess(home, simulator.url, "--no-auth", "--host", host) as gateway:
        answer = send(gateway.url, CHAT, chat(say("open")))
        assert (answer.status, answer.text) == (200, "open")
        assert "warning" in gateway.output
        assert "authentication is off" in gateway.output
        assert not (home / "admin.key.txt").exists(), "no key is made where none is needed"
    (event,) = audited_starts(home)
    assert host in json.dumps(event)
    assert event["actor"].startswith("local:")


@pytest.mark.parametrize("host", NOT_LOOPBACK)
def test_no_auth_is_refused_elsewhere_and_on_what_merely_looks_like_loopback(cli: Cli, home: Path, host: str) -> None:
    ended = cli("start", "--no-auth", "--port", "0", "--host", host)
    assert ended.code == 2
    assert "hint: " in ended.err
    for way_out in ("--no-auth", "127.0.0.1", RISK):
        assert way_out in ended.err
    assert not (home / "audit.jsonl").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_refusal_needs_no_credential_and_opens_no_port(home: Path, simulator: Simulator, host: str) -> None:
    """The same as a program of its own, as a service manager would see it."""
    ended = run_gateway(GatewayProcess(home, simulator.url, "--no-auth", "--host", host, github_token=None))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert "listening" not in ended.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_no_auth_elsewhere_needs_the_risk_accepted_and_is_on_record(
    home: Path, simulator: Simulator, host: str
) -> None:
    with ListeningGateway(home, simulator.url, "--no-auth", RISK, "--host", host) as gateway:
        local = f"http://{'127.0.0.1' if host == '0.0.0.0' else '[::1]'}:{port_of(gateway.url)}"
        wait_until(lambda: send(local, "/readyz").status == 200, 10, "ready")
        assert send(local, CHAT, chat(say("open"))).text == "open"
        assert "authentication is off" in gateway.output
    (event,) = audited_starts(home)
    assert host in json.dumps(event)


def test_the_risk_alone_turns_nothing_off(home: Path, simulator: Simulator) -> None:
    with GatewayProcess(home, simulator.url, RISK) as gateway:
        assert send(gateway.url, CHAT, chat("hello")).status == 401
    assert audited_starts(home) == []


def test_the_configuration_file_has_the_same_guard(home: Path, simulator: Simulator, cli: Cli) -> None:
    home.mkdir(mode=0o700)
    (home / "config.json").write_text('{"version": 1, "features": {"auth": false}}')
    refused = cli("start", "--port", "0", "--host", "0.0.0.0")
    assert refused.code == 2
    assert "features.auth" in refused.err
    with GatewayProcess(home, simulator.url) as gateway:
        assert send(gateway.url, CHAT, chat(say("open"))).text == "open"
        assert "authentication is off" in gateway.output
    assert len(audited_starts(home)) == 1


def test_an_open_gateway_still_guards_what_is_an_admin_s(home: Path, simulator: Simulator) -> None:
    """Everybody may call models; the Copilot token is not for everybody, and a page of another site is nobody."""
    with GatewayProcess(home, simulator.url, "--no-auth") as gateway:
        assert send(gateway.url, "/token").status == 401
        assert send(gateway.url, "/v1/models").status == 200
        assert send(gateway.url, "/v1/models", key="whatever").status == 200
        for headers in ({"origin": "https://example.com"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            answer = send(gateway.url, CHAT, chat("hello"), headers=headers)
            assert answer.status in {400, 403}, headers
        own = {"origin": gateway.url, "sec-fetch-site": "same-origin"}
        assert send(gateway.url, CHAT, chat("hello"), headers=own).status == 200
        journey = Journey(gateway, simulator, gateway.create_key("known"))
        known, anonymous = journey.send(CHAT, chat("hello")), send(gateway.url, CHAT, chat("hello"))
        events = journey.events(known, anonymous)
        assert events[0]["key_id"].startswith("key_")
        assert events[1]["key_id"] == "anonymous"


# Settings ------------------------------------------------------------------------------------------------------------


def settings_of(config: ConfigFile | None = None, **changes: Any) -> Settings:
    """What a gateway goes by with these flags and that file."""
    flags: dict[str, Any] = {
        "port": 4141,
        "host": "127.0.0.1",
        "verbose": False,
        "account_type": "individual",
        "manual": False,
        "rate_limit": None,
        "wait": False,
        "github_token": None,
        "proxy_env": False,
        "no_auth": False,
        "i_accept_account_suspension_risk": False,
        "log_format": "text",
        "drain_seconds": 600.0,
        "tls_cert": None,
        "tls_key": None,
    }
    return make_settings(GatewayFlags(**{**flags, **changes}), config or ConfigFile())


def test_without_flags_and_file_a_gateway_goes_by_the_defaults() -> None:
    assert settings_of() == Settings(upstream=settings_of().upstream)


def test_the_files_limits_are_the_gateways() -> None:
    limits = Limits(
        max_in_flight_per_identity=4,
        queue_timeout_s=2.5,
        max_queue_length=7,
        max_body_mb=3,
        default_key=DefaultKey(rpm=60, tpm=1_000, max_in_flight=2),
        budgets=["credits:day:50", "tokens:hour:9:observe"],
    )
    settings = settings_of(ConfigFile(limits=limits))
    budgets = (
        Budget(Unit.CREDITS, Window.DAY, 50.0),
        Budget(Unit.TOKENS, Window.HOUR, 9.0, is_observed=True),
    )
    assert settings.limits == AdmissionLimits(60, 1_000, 2, budgets)
    assert settings.queue == QueueSettings(4, 2.5, 7)
    assert settings.max_body_bytes == 3 * 1024 * 1024


def test_who_may_read_the_metrics_is_the_files_to_say() -> None:
    assert settings_of().metrics == MetricsSettings(is_on=True, access="loopback")
    config = ConfigFile(features=Features(metrics=False), metrics=Metrics("open"))
    assert settings_of(config).metrics == MetricsSettings(is_on=False, access="open")


def test_where_telemetry_goes_is_the_files_to_say() -> None:
    assert not settings_of().opentelemetry.is_on
    config = ConfigFile(opentelemetry=OpenTelemetry("http://127.0.0.1:4318", traces=False))
    assert settings_of(config).opentelemetry == OtelTarget("http://127.0.0.1:4318", has_traces=False, has_metrics=True)


def test_a_limit_that_the_file_does_not_name_is_none() -> None:
    settings = settings_of(ConfigFile(limits=Limits(default_key=DefaultKey(tpm=5))))
    assert settings.limits == AdmissionLimits(None, 5, None, ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ()),
        ((), ()),
        (("127.0.0.1",), ("127.0.0.1/32",)),
        (("10.0.0.0/8", "::1"), ("10.0.0.0/8", "::1/128")),
        (("10.1.2.3/8", "fd00::1/8"), ("10.0.0.0/8", "fd00::/8")),
        (("172.16.0.0/255.240.0.0",), ("172.16.0.0/12",)),
    ],
)
def test_proxies_are_trusted_by_network(given: tuple[str, ...] | None, expected: tuple[str, ...]) -> None:
    """Whatever of an address lies beyond its network is left out."""
    settings = settings_of(trust_proxy=given)
    assert settings.trusted_proxies == expected
    assert [str(ipaddress.ip_network(text)) for text in settings.trusted_proxies] == list(expected)


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/33", "10.0.0", "10.0.0.0/8/8", "*", "nginx", "0x0a000001", "[::1]"])  # fmt: skip
def test_a_proxy_that_is_no_network_is_refused_by_name(cli: Cli, text: str) -> None:
    ended = cli("start", "--port", "0", "--trust-proxy", text)
    assert (ended.code, ended.out) == (2, "")
    assert "--trust-proxy" in ended.err
    assert "10.0.0.0/8 or 127.0.0.1" in ended.err


def test_a_budget_that_is_none_is_refused_before_anything_is_done(cli: Cli, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "config.json").write_text('{"limits": {"budgets": ["credits:day:50", "credits:fortnight:5"]}}')
    ended = cli("start", "--port", "0")
    assert ended.code != 0
    assert "$.limits.budgets[1]" in ended.err
    assert "credits:day:50" in ended.err, "the form, by an example"


# Addresses -----------------------------------------------------------------------------------------------------------


def test_port_zero_takes_a_free_one(home: Path, simulator: Simulator) -> None:
    with (
        ListeningGateway(home, simulator.url) as first,
        ListeningGateway(home.with_name("other"), simulator.url) as second,
    ):
        assert port_of(first.url) != port_of(second.url)
        assert first.url.startswith("http://127.0.0.1:")
        assert first.output.count("listening on http://") == 1


def test_a_port_in_use_says_so_and_what_to_do(home: Path, simulator: Simulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_gateway(GatewayProcess(home, simulator.url, "--port", port))
    assert ended.code == 1
    assert f"127.0.0.1:{port}" in ended.err
    assert "--port" in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_host_says_so(home: Path, simulator: Simulator) -> None:
    ended = run_gateway(GatewayProcess(home, simulator.url, "--host", "nowhere.invalid"))
    assert ended.code == 1
    assert "nowhere.invalid" in ended.err
    assert "Traceback" not in ended.err


def test_localhost_is_reached_by_either_family(home: Path, simulator: Simulator) -> None:
    """`localhost` names two addresses, and clients differ in which they try."""
    with ListeningGateway(home, simulator.url, "--host", "localhost") as gateway:
        port = port_of(gateway.url)
        assert send(f"http://127.0.0.1:{port}", "/healthz").status == 200
        named = {info[4][0] for info in socket.getaddrinfo("localhost", port)}
        if "::1" in named:
            assert send(f"http://[::1]:{port}", "/healthz").status == 200


def free_port() -> str:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def test_every_flag_is_also_a_variable_and_the_flag_wins(home: Path, simulator: Simulator) -> None:
    port = free_port()
    gateway = JsonLoggingGateway(home, simulator.url, COPILOT_API_PORT=port)
    gateway.arguments = [argument for argument in gateway.arguments if argument not in {"--port", "0"}]
    with gateway:
        assert gateway.url == f"http://127.0.0.1:{port}"
    flags = ("--log-format", "text", "--host", "127.0.0.1")
    variables = {"COPILOT_API_PORT": port, "COPILOT_API_LOG_FORMAT": "json", "COPILOT_API_HOST": "192.0.2.1"}
    with ListeningGateway(home, simulator.url, *flags, **variables) as other:
        assert not other.url.endswith(f":{port}")
        assert f"listening on {other.url}" in other.output


# The original's limits -----------------------------------------------------------------------------------------------


def test_a_call_too_early_is_refused_with_the_wait(home: Path, simulator: Simulator) -> None:
    with GatewayProcess(home, simulator.url, "--rate-limit", "30") as gateway:
        journey = Journey(gateway, simulator, admin_key(gateway))
        first, second = journey.send(CHAT, chat("hello")), journey.send(CHAT, chat("hello"))
        assert (first.status, second.status) == (200, 429)
        assert second.error["code"] == "rate_limited"
        assert second.error["type"] == "rate_limit_error"
        assert 25 <= int(second.headers["retry-after"]) <= 30
        assert journey.seen(second) == []
        assert journey.send("/v1/models").status == 200, "only calls of models are counted"
        refused = journey.send(CHAT, chat("hello", model="gpt-99"))
        assert refused.status == 404, "what is refused anyhow is told at once"
        event = journey.events(second)[0]
        assert (event["cause"], event["status"], event["upstream_model"]) == ("rate_limited", 429, None)


def test_with_wait_a_call_too_early_waits_its_turn(home: Path, simulator: Simulator) -> None:
    with GatewayProcess(home, simulator.url, "-r", "0.4", "-w") as gateway:
        journey = Journey(gateway, simulator, admin_key(gateway))
        answers = [journey.send(CHAT, chat("hello", stream=stream)) for stream in (False, True, False)]
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert answers[0].seconds < 0.3 < answers[1].seconds
        waits = [event["queue_seconds"] for event in journey.events(*answers)]
        assert waits[0] < 0.1
        assert all(0.2 < wait < 0.6 for wait in waits[1:])


# What does not go together -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--wait",), "--rate-limit"),
        (("--rate-limit", "0"), "--rate-limit"),
        (("--rate-limit", "-1"), "--rate-limit"),
        (("--rate-limit", "soon"), "--rate-limit"),
        (("--port", "65536"), "--port"),
        (("--port", "-1"), "--port"),
        (("--port", "http"), "--port"),
        (("--account-type", "family"), "individual"),
        (("--log-format", "xml"), "json"),
        (("--tls-cert", __file__), "--tls-key"),
        (("--tls-key", __file__), "--tls-cert"),
        (("--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"), "/nowhere/cert.pem"),
        (("--drain-seconds", "-1"), "--drain-seconds"),
        (("--upstream", "azure"), "simulator"),
        (("--nonsense",), "--nonsense"),
        (("surplus",), "surplus"),
        (("--manual",), "--manual"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_bad_usage_is_refused_before_anything_is_done(cli: Cli, flags: tuple[str, ...], says: str) -> None:
    ended = cli("start", *flags)
    assert ended.code == 2
    assert says in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("name", ["COPILOT_API_GITHUB_URL", "COPILOT_API_GITHUB_API_URL", "COPILOT_API_UPSTREAM_URL"])
def test_an_upstream_that_is_no_url_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "ftp://example.com")
    ended = cli("start", "--port", "0")
    assert ended.code == 2
    assert name in ended.err


# Logs ----------------------------------------------------------------------------------------------------------------


def test_json_logs_are_json_and_tell_the_url(home: Path, simulator: Simulator) -> None:
    """One object a line from the first to the last, or whoever parses them stumbles over the rest."""
    with JsonLoggingGateway(home, simulator.url) as gateway:
        gateway.wait_ready()
        answer = send(gateway.url, CHAT, chat("a secret prompt"), key=admin_key(gateway))
        wait_until(lambda: answer.request_id in gateway.output, 5, "a line for the call")
    lines = [json.loads(line) for line in gateway.lines]
    assert [line["url"] for line in lines if "url" in line] == [gateway.url]
    assert all({"at", "level", "message"} <= set(line) for line in lines)
    assert [line["status"] for line in lines if line.get("request_id") == answer.request_id] == [200]
    for secret in ("a secret prompt", "sk-cap-", GITHUB_TOKEN, "tid="):
        assert secret not in gateway.output


def test_a_log_line_for_each_call(home: Path, simulator: Simulator) -> None:
    with GatewayProcess(home, simulator.url) as gateway:
        answer = send(gateway.url, CHAT, chat(say("not in the log"), stream=True), key=admin_key(gateway))
        refused = send(gateway.url, CHAT, chat("hello"))
        wait_until(lambda: refused.request_id in gateway.output, 5, "the lines")
        line, other = (line for line in gateway.lines if "id=req_" in line)
    assert answer.request_id in line
    assert re.search(r" info +200 ok +[0-9.]+s  /v1/chat/completions +gpt-4\.1 .* first=", line)
    assert re.search(r" info +401 unauthorized +[0-9.]+s  /v1/chat/completions +- ", other)
    assert "not in the log" not in gateway.output


@pytest.mark.parametrize("way", ["flag", "variable"])
def test_no_log_line_for_each_call_where_none_is_wanted(home: Path, simulator: Simulator, way: str) -> None:
    flags, variables = (("--no-access-log",), {}) if way == "flag" else ((), {"COPILOT_API_NO_ACCESS_LOG": "1"})
    with GatewayProcess(home, simulator.url, *flags, "--verbose", **variables) as quiet:
        answer = send(quiet.url, CHAT, chat("hello"), key=admin_key(quiet))
        assert answer.status == 200
    assert answer.request_id not in quiet.output
    assert "Copilot token renewed" in quiet.output, "the others are there"
    assert "stopped" in quiet.output


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_client_cannot_forge_log_lines(home: Path, simulator: Simulator, form: str) -> None:
    """What a client names goes into a line, and cannot end it nor colour the terminal that shows it."""
    forged = "gpt\n15:00:00 error   forged\r\x1b[31m\x85\x9bred"
    kind = JsonLoggingGateway if form == "json" else GatewayProcess
    with kind(home, simulator.url, "--log-format", form) as gateway:
        gateway.wait_ready()
        answer = send(gateway.url, CHAT, chat("hello", model=forged), key=admin_key(gateway))
        assert answer.status == 404
        wait_until(lambda: answer.request_id in gateway.output, 5, "the line")
    assert not [line for line in gateway.lines if line.startswith("15:00:00 error")]
    assert not set("\x1b\r" if form == "json" else "\x1b\r\x85\x9b") & set(gateway.output)
    (line,) = [line for line in gateway.lines if "forged" in line]
    assert answer.request_id in line


# The end -------------------------------------------------------------------------------------------------------------


def test_the_drain_is_bounded(home: Path, simulator: Simulator) -> None:
    """A stream that does not end in time is ended with an error, never with a clean end."""
    simulator.post("/_sim/pace", {"gap_seconds": 0.1, "tokens": 600})
    try:
        with GatewayProcess(home, simulator.url, "--drain-seconds", "1") as gateway:
            key = admin_key(gateway)
            with opened(gateway.url, CHAT, chat("count", stream=True), key=key) as response:
                assert response.readline().startswith(b"data: ")
                assert gateway.stop() == 0
                rest = response.read()
        assert b"[DONE]" not in rest
        assert b'"code":"shutting_down"' in rest
    finally:
        simulator.post("/_sim/pace", {"gap_seconds": 0, "tokens": 24})


def test_nothing_of_the_surroundings_leaks_into_a_test() -> None:
    """The environment of programs under test holds no setting of the machine that runs the tests."""
    assert not [name for name in free_environment() if name.startswith(("COPILOT_API_", "GH_"))]
