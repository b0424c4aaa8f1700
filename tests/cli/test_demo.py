"""`demo`: a gateway to play with that needs nothing and leaves nothing."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Program, free_environment, wait_until
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT, send


class Demo(Program):
    """`copilot-api demo`, whose own words come after the line with the address."""

    def __init__(self, tmp_path: Path, *flags: str) -> None:
        environment = free_environment(TMPDIR=str(tmp_path), HOME=str(tmp_path / "home"))
        super().__init__(["demo", "--port", "0", "--still", *flags], environment)

    def start(self) -> None:
        """Wait for all that it has to say."""
        super().start()
        wait_until(lambda: "Ctrl-C ends it" in self.output, 10, "the introduction")

    def says(self, pattern: str) -> str:
        """Something that it prints."""
        found = re.search(pattern, self.output)
        assert found, f"{pattern} is not in:\n{self.output}"
        return found.group(1)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo makes its directory."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def demo(temporary: Path) -> Iterator[Demo]:
    """One demo for the tests that only look."""
    with Demo(temporary) as running:
        yield running


def test_it_says_where_it_is_and_gives_keys(demo: Demo) -> None:
    assert demo.says(r"URL +(http\S+)") == demo.url
    admin, client = demo.says(r"admin key +(sk-cap-[a-z2-7]{52})"), demo.says(r"client key +(sk-cap-[a-z2-7]{52})")
    assert send(demo.url, "/token", key=admin).status == 200
    assert send(demo.url, "/token", key=client).status == 403
    answer = send(demo.url, CHAT, chat(say("played"), stream=True), key=client)
    assert (answer.text, answer.is_done) == ("played", True)
    assert send(demo.url, "/readyz").status == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_its_curl_line_works_as_it_is_printed(demo: Demo) -> None:
    command = demo.says(r"(?s)\n  (curl .+?)\n\n")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=True)
    events = [line for line in done.stdout.splitlines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert {chunk["model"] for chunk in chunks} == {"gpt-4.1"}
    assert len("".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)) > 20


def test_its_usage_line_works_and_shows_two_weeks(demo: Demo) -> None:
    setting, program, *arguments = shlex.split(demo.says(r"\n  (COPILOT_API_HOME=.+)\n"))
    name, _, value = setting.partition("=")
    assert (name, program) == ("COPILOT_API_HOME", "copilot-api")
    done = subprocess.run(
        [sys.executable, "-m", "copilot_api", *arguments, "--json"],
        env={**demo.environment, name: value},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    report = json.loads(done.stdout)
    assert {"ada", "grace", "ci"} <= {row["label"] for row in report["rows"]}
    assert report["total"]["requests"] > 100
    assert report["total"]["credits"] > 0
    assert 0 < report["total"]["errors"] < report["total"]["requests"] / 5


def test_its_keys_have_a_usage_of_their_own(demo: Demo) -> None:
    client = demo.says(r"client key +(\S+)")
    assert send(demo.url, "/usage", key=client).json["total"]["requests"] > 10


def test_its_account_has_credits_with_a_history(demo: Demo) -> None:
    admin, client = demo.says(r"admin key +(\S+)"), demo.says(r"client key +(\S+)")
    before = send(demo.url, "/usage", key=admin).json
    assert (before["charged_to"], before["unit"]) == ("premium_interactions", "credits")
    assert before["forecast"]["days"] >= 13
    assert send(demo.url, CHAT, chat("hello", model="claude-haiku-4.5"), key=client).status == 200
    (identity,) = send(demo.url, "/admin/api/identities", key=admin).json["identities"]
    assert len(identity["quota"]["readings"]) > 100


def test_it_touches_nothing_of_the_user_s(demo: Demo, temporary: Path) -> None:
    assert not (temporary / "home").exists()
    data = Path(demo.says(r"data +(\S+)"))
    assert data.parent == temporary
    assert data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    with Demo(tmp_path, "--log-format", "text") as demo:
        data = Path(demo.says(r"data +(\S+)"))
        assert data.is_dir()
        assert demo.stop(number) in {0, 130}
    assert not data.exists()
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in demo.output


def test_it_takes_the_flags_of_a_gateway(tmp_path: Path) -> None:
    with Demo(tmp_path, "--no-auth") as demo:
        assert send(demo.url, CHAT, chat(say("open"))).text == "open"
    refused = Program(["demo", "--port", "0", "--no-auth", "--host", "0.0.0.0"], demo.environment)
    with pytest.raises(RuntimeError, match="i-accept-account-suspension-risk"):
        refused.start()
    assert list(tmp_path.iterdir()) == []
