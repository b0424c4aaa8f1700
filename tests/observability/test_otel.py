"""The way to OpenTelemetry's packages: not taken unless something is exported, and said at once where it leads nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from copilot_api.observability.otel import OtelTarget, OtelUnavailable, make_export
from tests.fakes import FakeClock
from tests.harness import Simulator, free_environment, http_json, wait_until

WITHOUT = """
import sys
sys.modules["opentelemetry"] = None  # as if it were not installed
from copilot_api.cli.program import run
sys.exit(run(sys.argv[1:]))
"""


def configure(home: Path, document: str) -> dict[str, str]:
    home.mkdir(mode=0o700)
    (home / "config.json").write_text(document)
    return free_environment(COPILOT_API_HOME=str(home), GH_TOKEN="ghu_" + "0" * 36)


def start_without(environment: dict[str, str], *flags: str) -> list[str]:
    return [sys.executable, "-c", WITHOUT, "start", "--port", "0", *flags]


@pytest.mark.parametrize(
    ("target", "is_on", "is_traced"),
    [
        (OtelTarget(), False, False),
        (OtelTarget("http://c:4318"), True, True),
        (OtelTarget("http://c:4318", has_traces=False), True, False),
        (OtelTarget("http://c:4318", has_metrics=False), True, True),
        (OtelTarget("http://c:4318", has_traces=False, has_metrics=False), False, False),
    ],
)
def test_an_endpoint_switches_it_on(target: OtelTarget, *, is_on: bool, is_traced: bool) -> None:
    assert (target.is_on, target.is_traced) == (is_on, is_traced)


def test_what_is_made_has_not_begun() -> None:
    export = make_export(OtelTarget("http://127.0.0.1:1"), {}, FakeClock())
    export.close()
    assert export.lost == 0


def test_a_variable_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(OtelUnavailable, match="OTEL_BSP_MAX_QUEUE_SIZE is no number from 2 to 1000000"):
        make_export(OtelTarget("http://127.0.0.1:1"), {"OTEL_BSP_MAX_QUEUE_SIZE": "lots"}, FakeClock())


def test_without_the_package_a_gateway_that_is_to_export_does_not_start(home: Path) -> None:
    environment = configure(home, '{"opentelemetry": {"endpoint": "http://127.0.0.1:4318"}}')
    done = subprocess.run(
        start_without(environment), env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "the package opentelemetry" in done.stderr
    assert "pip install 'copilot-api[otel]'" in done.stderr
    assert "listening" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_variable_that_the_sdk_refuses_ends_the_start(home: Path) -> None:
    environment = configure(home, '{"opentelemetry": {"endpoint": "http://127.0.0.1:4318"}}')
    done = subprocess.run(
        [sys.executable, "-m", "copilot_api", "start", "--port", "0"],
        env={**environment, "OTEL_BSP_SCHEDULE_DELAY": "-1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "schedule_delay_millis must be positive" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "document",
    ["{}", '{"opentelemetry": {"endpoint": "http://127.0.0.1:4318", "traces": false, "metrics": false}}'],
)
def test_without_the_package_a_gateway_that_exports_nothing_starts(
    home: Path, document: str, simulator: Simulator
) -> None:
    """The variables of OpenTelemetry alone, which other programs of this machine may use, switch nothing on."""
    environment = configure(home, document)
    urls = ("COPILOT_API_GITHUB_URL", "COPILOT_API_GITHUB_API_URL", "COPILOT_API_UPSTREAM_URL")
    environment |= dict.fromkeys(urls, simulator.url)
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:4318"
    with (home / "log").open("w") as log:
        process = subprocess.Popen(start_without(environment), env=environment, stderr=log, text=True)
    try:
        wait_until(lambda: "listening on" in (home / "log").read_text(), 30, "listening")
        url = (home / "log").read_text().split("listening on ")[1].split()[0]
        wait_until(lambda: http_json("GET", f"{url}/readyz")[0] == 200, 30, "ready")
    finally:
        process.terminate()
        assert process.wait(30) == 0
        assert os.path.getsize(home / "log") > 0
