"""What `start` does around a gateway: the first admin key, and the operator's word on each call."""

import stat
import sys
import threading
from pathlib import Path

import pytest

from tests.harness import GatewayProcess, Simulator, free_environment, http_json, wait_until
from tests.journeys.commands import ListeningGateway, Terminal, run, run_gateway
from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, say
from tests.journeys.wire import CHAT, Answer, send

# The first admin key -------------------------------------------------------------------------------------------------


def test_without_a_terminal_the_admin_key_is_in_a_file_and_nowhere_else(home: Path, simulator: Simulator) -> None:
    """Logs of services live for ever."""
    with GatewayProcess(home, simulator.url, "--verbose") as gateway:
        path = home / "admin.key.txt"
        secret = path.read_text().strip()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert send(gateway.url, "/token", key=secret).status == 200
        assert str(path) in gateway.output
    assert "sk-cap-" not in gateway.output
    assert secret not in (home / "audit.jsonl").read_text()
    assert secret.encode() not in (home / "copilot-api.db").read_bytes()


def test_the_admin_key_is_made_once(home: Path, simulator: Simulator) -> None:
    """Also when its file was read and deleted, as it should be."""
    with ListeningGateway(home, simulator.url):
        secret = (home / "admin.key.txt").read_text().strip()
    (home / "admin.key.txt").unlink()
    with GatewayProcess(home, simulator.url) as gateway:
        assert not (home / "admin.key.txt").exists()
        assert send(gateway.url, "/token", key=secret).status == 200


def test_an_admin_key_file_that_is_left_over_is_not_overwritten(home: Path, simulator: Simulator) -> None:
    home.mkdir(mode=0o700)
    (home / "admin.key.txt").write_text("of an older database\n")
    ended = run_gateway(GatewayProcess(home, simulator.url))
    assert ended.code in {1, 2}
    assert str(home / "admin.key.txt") in ended.err
    assert "hint: " in ended.err
    assert (home / "admin.key.txt").read_text() == "of an older database\n"


def test_a_terminal_shows_the_admin_key_once(home: Path, simulator: Simulator) -> None:
    gateway = GatewayProcess(home, simulator.url)
    with Terminal(gateway.arguments, gateway.environment) as terminal:
        secret = terminal.expect(r"\n    (sk-cap-[a-z2-7]{52})\n").group(1)
        url = terminal.expect(r"listening on (http\S+)").group(1)
        wait_until(lambda: http_json("GET", f"{url}/readyz")[0] == 200, 10, "ready")
        assert send(url, "/token", key=secret).status == 200
        assert terminal.stop() == 0
    assert not (home / "admin.key.txt").exists()
    with Terminal(gateway.arguments, gateway.environment) as terminal:
        terminal.expect(r"listening on (http\S+)")
        assert "sk-cap-" not in terminal.shown


# The log -------------------------------------------------------------------------------------------------------------

CRASHES = """
import sys
from pathlib import Path
from copilot_api.cli.gateway import prepared
from copilot_api.config.paths import DataDirectory
from copilot_api.config.settings import Settings
from copilot_api.observability.events import Notice
directory = DataDirectory(Path(sys.argv[1]))
directory.prepare()
with prepared(Settings(is_open=True), directory, None) as surroundings:
    for number in range(300):
        surroundings.observe(Notice(f"line {number}"))
    raise RuntimeError("it is over")
"""


def test_every_line_is_written_before_a_crash_ends_the_process(home: Path) -> None:
    ended = run([sys.executable, "-c", CRASHES, str(home)], free_environment())
    assert ended.code == 1
    lines = ended.err.splitlines()
    assert [line.rpartition(" ")[2] for line in lines if " warning line " in line] == [str(each) for each in range(300)]
    assert lines.index("Traceback (most recent call last):") == 301, "after them, and the one about authentication"
    assert lines[-1] == "RuntimeError: it is over"


# The operator's word -------------------------------------------------------------------------------------------------


def test_manual_asks_for_each_call_and_takes_the_answer(home: Path, simulator: Simulator) -> None:
    """Yes lets it through, no and anything else refuses it, and nothing goes upstream before the answer."""
    gateway = GatewayProcess(home, simulator.url, "--manual")
    with Terminal(gateway.arguments, gateway.environment) as terminal:
        gateway.url = terminal.expect(r"listening on (http\S+)").group(1)
        gateway.wait_ready()
        journey = Journey(gateway, simulator, gateway.create_key("asking"))
        words = {"y\n": 200, "yes\n": 200, "n\n": 403, "\n": 403, "maybe\n": 403, "Y\n": 200}
        for asked, (typed, status) in enumerate(words.items(), 1):
            answers: list[Answer] = []
            body = chat(say("approved"), stream=asked % 2 == 0)
            calling = threading.Thread(target=lambda body=body, to=answers: to.append(journey.send(CHAT, body)))
            calling.start()
            terminal.expect(rf"(?s)(allow it\? \[y/N\].*){{{asked}}}")
            assert not answers
            terminal.type(typed)
            calling.join(10)
            (answer,) = answers
            assert answer.status == status, repr(typed)
            assert len(journey.seen(answer)) == (1 if status == 200 else 0)
            if status == 403:
                assert answer.error["code"] == "not_approved"
                assert answer.headers["x-should-retry"] == "false"
            else:
                assert answer.text == "approved"
        question = terminal.expect(r"call (req_\w+): asking asks for gpt-4\.1")
        assert question.group(1).startswith("req_")
        assert journey.send("/v1/models").status == 200, "only calls of models are asked for"
        assert journey.send(CHAT, chat("x", model="gpt-99")).status == 404, "what is refused anyhow is not asked for"


def test_manual_asks_one_question_at_a_time(home: Path, simulator: Simulator) -> None:
    gateway = GatewayProcess(home, simulator.url, "--manual")
    with Terminal(gateway.arguments, gateway.environment) as terminal:
        gateway.url = terminal.expect(r"listening on (http\S+)").group(1)
        gateway.wait_ready()
        journey = Journey(gateway, simulator, gateway.create_key("together"))
        answers: list[Answer] = []
        callers = [
            threading.Thread(target=lambda: answers.append(journey.send(CHAT, chat(say("mine"))))) for _ in range(3)
        ]
        for caller in callers:
            caller.start()
        for number, typed in enumerate(("y\n", "n\n", "y\n"), 1):
            terminal.expect(rf"(?s)(allow it\? \[y/N\].*){{{number}}}")
            assert terminal.shown.count("allow it?") == number
            terminal.type(typed)
            wait_until(lambda number=number: len(answers) == number, 5, "an answer for each word")
        for caller in callers:
            caller.join(5)
    assert [answer.status for answer in answers] == [200, 403, 200]


def test_a_caller_who_left_is_no_longer_asked_about(home: Path, simulator: Simulator) -> None:
    """Else the next yes would be taken for the wrong call."""
    gateway = GatewayProcess(home, simulator.url, "--manual")
    with Terminal(gateway.arguments, gateway.environment) as terminal:
        gateway.url = terminal.expect(r"listening on (http\S+)").group(1)
        gateway.wait_ready()
        journey = Journey(gateway, simulator, gateway.create_key("gone"))
        before = simulator.stats["started"]
        with pytest.raises(TimeoutError):
            journey.send(CHAT, chat("hello"), seconds=0.3)
        terminal.expect(r"allow it\?")
        answers: list[Answer] = []
        calling = threading.Thread(target=lambda: answers.append(journey.send(CHAT, chat(say("second")))))
        calling.start()
        terminal.expect(r"(?s)allow it\?.*allow it\?")
        terminal.type("y\n")
        calling.join(10)
        assert answers[0].text == "second"
        assert simulator.stats["started"] == before + 1
