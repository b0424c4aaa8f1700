"""What is measured: the mock itself (direct), an nginx hop, the gateway, and any other URL."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from bench.programs import BenchError, Mock, on_core, stop

NGINX_CONFIG = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
{user}
pid {home}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_body_buffer_size 1m;
    client_max_body_size 64m;
    keepalive_timeout 3600s;
    keepalive_requests 100000000;
    tcp_nodelay on;
    upstream copilot {{
        server 127.0.0.1:{upstream_port};
        keepalive 4096;
        keepalive_requests 100000000;
        keepalive_timeout 3600s;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://copilot;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;{buffers}
            proxy_read_timeout 300s;
        }}
    }}
}}
"""

# The default cap on calls in flight protects an account; here it would measure the queue.
GATEWAY_CONFIG = {"version": 1, "limits": {"max_in_flight_per_identity": 4096}}


@dataclass
class Subject:
    """Something that answers chat completions on a loopback port; without a pid its CPU is not read."""

    name: str
    port: int
    path: str = "/chat/completions"
    headers: tuple[str, ...] = ()
    pid: int | None = None
    sent: int = 0  # requests, warm-ups included


@dataclass
class Running:
    """A subject and the program behind it, which ends with the block."""

    subject: Subject
    process: subprocess.Popen[str]
    exit_code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.exit_code = stop(self.process)


def direct(mock: Mock) -> Subject:
    return Subject("direct", mock.port)


def parse_extra(text: str) -> Subject:
    """`name=URL,pid=PID,key=KEY`; pid and key are optional."""
    name, _, rest = text.partition("=")
    url, *options = rest.split(",")
    parts = urlsplit(url)
    given = dict(option.partition("=")[::2] for option in options)
    if parts.hostname != "127.0.0.1" or parts.port is None or not set(given) <= {"pid", "key"}:
        raise BenchError(f"an extra subject reads name=http://127.0.0.1:PORT/path,pid=PID,key=KEY: {text}")
    headers = (f"Authorization: Bearer {given['key']}",) if "key" in given else ()
    pid = int(given["pid"]) if "pid" in given else None
    return Subject(name, parts.port, parts.path or "/chat/completions", headers, pid)


def fetch_status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def wait_until_ready(process: subprocess.Popen[str], port: int, path: str, log: Path, patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    status = 0
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"{log.stem} ended with code {process.returncode}:\n{log.read_text()[-3000:]}")
        status = fetch_status(port, path)
        if status == 200:
            return
        time.sleep(0.05)
    raise BenchError(
        f"{log.stem} is not ready after {patience:.0f} s, last status {status}:\n{log.read_text()[-3000:]}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_nginx(home: Path, mock: Mock, core: int, buffer_kb: int = 0) -> Running:
    """`buffer_kb` is how much nginx reads at a time; 0 leaves it at its default, one page."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BenchError("no nginx: `apt-get install nginx-light`, or leave it out with --subjects direct,gateway")
    home.mkdir(parents=True)
    port, log = _free_port(), home / "nginx.log"
    # Started by root, workers would become another user and lose the private directory.
    user = "user root;" if os.geteuid() == 0 else ""
    files = os.sysconf("SC_OPEN_MAX")
    config = home / "nginx.conf"
    buffers = f" proxy_buffer_size {buffer_kb}k; proxy_buffers 8 {buffer_kb}k;" if buffer_kb else ""
    values = {"home": home, "port": port, "upstream_port": mock.port, "user": user, "files": files, "buffers": buffers}
    config.write_text(NGINX_CONFIG.format(**values))
    command = [*on_core(core), program, "-c", str(config), "-p", str(home), "-e", "stderr"]
    with log.open("w") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, text=True)
    running = Running(Subject("nginx", port, pid=process.pid), process)
    try:
        wait_until_ready(process, port, "/user", log)
    except BenchError:
        stop(process)
        raise
    return running


def find_gateway() -> str | None:
    beside = Path(sys.executable).parent / "copilot-api"
    return str(beside) if beside.exists() else None


@dataclass(frozen=True)
class GatewayCli:
    """The gateway's command line in an environment of its own: nothing of the caller's shell reaches it."""

    program: str
    home: Path
    mock: Mock

    def command(self, *arguments: str) -> list[str]:
        variables = {
            "PATH": f"{Path(self.program).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home.parent),
            "LANG": "C.UTF-8",
            "COPILOT_API_HOME": str(self.home),
            "GH_TOKEN": "gho_benchmark000000000000000000000000",
            "COPILOT_API_GITHUB_URL": self.mock.url,
            "COPILOT_API_GITHUB_API_URL": self.mock.url,
            "COPILOT_API_UPSTREAM_URL": self.mock.url,
        }
        return ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), self.program, *arguments]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise BenchError(f"copilot-api {' '.join(arguments)} failed, code {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def recorded(self, hours: int) -> dict[str, float]:
        """The ledger's totals over all keys."""
        total: dict[str, float] = json.loads(self.run("usage", "--since", f"{hours}h", "--by", "key", "--json"))[
            "total"
        ]
        return total


def make_gateway_cli(home: Path, mock: Mock, config: Path | None) -> GatewayCli:
    program = find_gateway()
    if program is None:
        raise BenchError(
            f"no copilot-api beside {sys.executable}: install the project there, or measure --subjects direct,nginx"
        )
    home.mkdir(mode=0o700, parents=True)
    file = home / "config.json"
    file.touch(mode=0o600)
    file.write_text(config.read_text() if config else json.dumps(GATEWAY_CONFIG))
    return GatewayCli(program, home, mock)


def start_gateway(cli: GatewayCli, core: int, flags: tuple[str, ...] = ()) -> Running:
    """A gateway that knows no cap on calls in flight refuses the setting that raises it, and needs none."""
    try:
        return _start_gateway(cli, core, flags)
    except BenchError as error:
        if "unknown field `max_in_flight_per_identity`" not in str(error):
            raise
        print("the gateway has no cap on calls in flight: it runs with its defaults", file=sys.stderr)
        (cli.home / "config.json").unlink()
        return _start_gateway(cli, core, flags)


def _start_gateway(cli: GatewayCli, core: int, flags: tuple[str, ...]) -> Running:
    log = cli.home.parent / "gateway.log"
    with log.open("w") as sink:
        command = cli.command("start", "--port", "0", "--host", "127.0.0.1", *flags)
        process = subprocess.Popen([*on_core(core), *command], stdout=sink, stderr=sink, text=True)
    running = Running(Subject("gateway", 0, "/v1/chat/completions", pid=process.pid), process)
    try:
        running.subject.port = _announced_port(process, log)
        wait_until_ready(process, running.subject.port, "/readyz", log)
        key = json.loads(cli.run("keys", "create", "--label", "bench", "--json"))["key"]
    except (BenchError, KeyError, ValueError) as error:
        stop(process)
        raise BenchError(f"the gateway did not come up: {error}") from error
    running.subject.headers = (f"Authorization: Bearer {key}",)
    return running


def _announced_port(process: subprocess.Popen[str], log: Path, patience: float = 60) -> int:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", "\n".join(_announcements(log)))
        if found:
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise BenchError(f"no line `listening on http://...`, exit code {process.poll()}:\n{log.read_text()[-3000:]}")


def _announcements(log: Path) -> list[str]:
    """The lines that say where it listens, in text or as the field `url` of JSON logs."""
    return [line for line in log.read_text().splitlines() if "listening on" in line or '"url"' in line]
