"""Over TLS the same holds: hang-ups are seen at once, streams drain, a second signal ends them."""

import signal
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.client import CHAT, chat
from tests.faults.pair import DETECTION_SECONDS, SLACK_SECONDS, Pair, read_events
from tests.faults.process import holdings, settled
from tests.harness import GatewayProcess, Simulator, http_json, wait_until


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this host, its key beside it."""
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=gateway"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return path


@pytest.fixture
def secure(certificate: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """A gateway that serves HTTPS."""
    with Simulator() as simulator:
        flags = ("--tls-cert", str(certificate), "--tls-key", str(certificate.with_suffix(".key")))
        gateway = GatewayProcess(home, simulator.url, *flags)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with gateway:
            yield Pair(simulator, gateway)


def opened(pair: Pair, certificate: Path, *, stream: bool = True) -> ssl.SSLSocket:
    """A call over TLS."""
    parts = urlsplit(pair.url)
    context = ssl.create_default_context(cafile=str(certificate))
    plain = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)
    connection = context.wrap_socket(plain, server_hostname=parts.hostname)
    body = b'{"model":"gpt-4.1","stream":%s,"messages":[{"role":"user","content":"hi"}]}' % str(stream).lower().encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {pair.key}\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def read_until(connection: ssl.SSLSocket, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        data = connection.recv(65536)
        assert data, received
        received += data
    return received


def read_to_end(connection: ssl.SSLSocket) -> bytes:
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def polite(connection: ssl.SSLSocket) -> None:
    """Say goodbye, then close."""
    connection.settimeout(0.2)
    try:
        connection.unwrap().close()
    except (OSError, ssl.SSLError):
        connection.close()


def abrupt(connection: ssl.SSLSocket) -> None:
    """Close without a word."""
    connection.close()


def reset(connection: ssl.SSLSocket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_calls_hang_ups_and_the_end_are_as_without_tls(secure: Pair, certificate: Path) -> None:
    for stream in (False, True):
        status, answer = http_json("POST", secure.url + CHAT, chat(stream=stream), key=secure.key)
        assert status == 200
        assert ("[DONE]" in answer) if stream else answer["choices"]
    secure.wait_for(lambda: len(read_events(secure.gateway.home)) == 2)
    baseline = holdings(secure.pid)
    secure.pace(gap_seconds=0.02, tokens=1000)
    for end in (polite, abrupt, reset) * 5:
        aborted = secure.simulator.stats["aborted"]
        connection = opened(secure, certificate)
        read_until(connection, b"\n\n")
        end(connection)
        assert secure.seconds_until_aborted(aborted + 1) <= DETECTION_SECONDS + SLACK_SECONDS
    secure.wait_for(lambda: len(read_events(secure.gateway.home)) == 17)
    assert {event["cause"] for event in read_events(secure.gateway.home)[2:]} == {"client_aborted"}
    assert settled(secure.pid, baseline).descriptors <= baseline.descriptors


def test_a_signal_drains_and_a_second_one_ends(secure: Pair, certificate: Path) -> None:
    secure.pace(gap_seconds=0.03, tokens=20)
    short = opened(secure, certificate)
    secure.in_flight(1)
    secure.pace(gap_seconds=1, tokens=1000)
    long = opened(secure, certificate)
    read_until(long, b"\n\n")
    secure.in_flight(2)
    process = secure.gateway.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    assert b"data: [DONE]\n\n" in read_to_end(short)
    wait_until(lambda: "stopping" in secure.gateway.output, 5, "the first signal is heard")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    received = read_to_end(long)
    assert b'"code":"shutting_down"' in received
    assert b"[DONE]" not in received
    assert process.wait(10) == 0
    assert time.monotonic() - began < 1.5
    assert sorted(event["cause"] for event in read_events(secure.gateway.home)) == ["interrupted", "ok"]
    short.close()
    long.close()
