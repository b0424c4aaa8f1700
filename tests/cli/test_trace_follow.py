"""The tail goes on where it was when a connection broke, and ends when the gateway says so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copilot_api.cli.trace_client import Refused, find_links
from copilot_api.cli.trace_follow import News, follow
from copilot_api.errors import BadRequest, StorageUnavailable
from tests.cli.trace_gateway import serving


def event(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


END = event("end", reason="this key was revoked")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    return path


def read(directory: Path, *answers: Any, after: int | None = None) -> tuple[list[News], list[str], str]:
    """All the news, the ids that it asked to go on from, and how it ended."""
    waiting, asked, news = list(answers), list[str](), list[News]()

    def answer(_method: str, target: str, _body: bytes, headers: dict[bytes, bytes]) -> Any:
        assert target == "/admin/api/traces/tail"
        asked.append(headers.get(b"last-event-id", b"").decode())
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    with serving(directory, answer), pytest.raises(Refused) as ended:
        _kept(follow(find_links(directory), after, pause_seconds=0.01), news)
    return news, asked, ended.value.message


def _kept(found: Iterator[News], news: list[News]) -> None:
    """Put each into `news` as it comes: what came before an error counts too."""
    for each in found:
        news.append(each)  # noqa: PERF402 -- `extend` would keep none of them


def test_it_tells_traces_and_gaps_until_the_end(directory: Path) -> None:
    body = event("start", after=4) + b": keep-alive\n\n" + event("trace", number=5) + event("gap", missed=2) + END
    news, asked, ended = read(directory, body)
    assert [(each.kind, each.content) for each in news] == [("trace", {"number": 5}), ("gap", {"missed": 2})]
    assert asked == [""]
    assert ended == "the gateway ended it: this key was revoked"


def test_it_comes_back_with_the_last_number(directory: Path) -> None:
    bodies = [
        event("start", after=4) + event("trace", number=5),
        event("start", after=5) + event("trace", number=9) + END,
    ]
    news, asked, _ = read(directory, *bodies)
    assert [each.kind for each in news] == ["trace", "lost", "back", "trace"]
    assert asked == ["", "5"]


def test_what_was_lost_before_the_first_trace_is_not_missed(directory: Path) -> None:
    assert read(directory, event("start", after=4), END)[1] == ["", "4"]


def test_it_begins_where_it_is_told(directory: Path) -> None:
    assert read(directory, event("trace", number=8), END, after=7)[1] == ["7", "8"]


def test_a_failure_that_may_pass_is_waited_out(directory: Path) -> None:
    news, asked, _ = read(directory, StorageUnavailable("no"), b"event: trace\ndata: {\n\n", END)
    assert [each.kind for each in news] == ["lost", "back", "lost", "back"]
    assert len(asked) == 3


def test_a_refusal_ends_it(directory: Path) -> None:
    assert read(directory, BadRequest("no such thing"))[2].startswith("no such thing")


def test_several_gateways_are_followed_until_the_last_ends(directory: Path) -> None:
    bodies = {"one": event("trace", number=1) + END, "other": event("trace", number=2) + END}
    with serving(directory, lambda *_: bodies["one"]), serving(directory, lambda *_: bodies["other"]):
        news: list[News] = []
        with pytest.raises(Refused):
            _kept(follow(find_links(directory), None), news)
    assert sorted(each.content["number"] for each in news) == [1, 2]
