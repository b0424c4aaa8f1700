"""How commands reach gateways: by every socket in the data directory, or by a URL with a key."""

import socket
from pathlib import Path
from typing import Any

import click
import pytest

from copilot_api.api.local_socket import opened_directory, socket_address
from copilot_api.cli.trace_client import Failed, GatewayGone, Refused, ask, find_links, opened, trace_path, url_link
from copilot_api.errors import BadRequest, StorageUnavailable
from tests.cli.trace_gateway import serving


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 4)
    path.mkdir(parents=True, mode=0o700)
    return path


def test_every_gateway_is_found_and_what_is_stale_is_not(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left, opened_directory(directory) as descriptor:
        left.bind(socket_address(descriptor, directory, "control-4.sock"))
    assert find_links(directory) == []
    assert find_links(directory / "nowhere") == []
    (directory / "control-3.sock").write_text("no socket")
    with serving(directory, lambda *_: {"from": 1}), serving(directory, lambda *_: {"from": 2}):
        links = find_links(directory)
        assert [link.name for link in links] == ["control.sock", "control-2.sock"]
        assert [ask(link, "GET", "/x")["from"] for link in links] == [1, 2]


def test_it_sends_what_it_is_given_and_reads_json(directory: Path) -> None:
    def answer(*request: Any) -> Any:
        return [str(part) for part in request[:3]]

    with serving(directory, answer):
        (link,) = find_links(directory)
        assert ask(link, "POST", "/x?y=1", {"a": "ü"}) == ["POST", "/x?y=1", 'b\'{"a": "\\\\u00fc"}\'']
        assert ask(link, "GET", "/x") == ["GET", "/x", "b''"]


def test_errors_are_told_in_the_gateways_words(directory: Path) -> None:
    errors = {"/bad": BadRequest("that is wrong", hint="do it right"), "/later": StorageUnavailable("the disk is full")}

    def answer(_method: str, target: str, _body: bytes, _headers: object) -> Any:
        raise errors[target]

    with serving(directory, answer):
        (link,) = find_links(directory)
        with pytest.raises(Refused, match="that is wrong; do it right") as bad:
            ask(link, "GET", "/bad")
        assert (bad.value.status, bad.value.exit_code) == (400, 2)
        with pytest.raises(Failed, match="the disk is full") as later:
            ask(link, "GET", "/later")
        assert (later.value.status, later.value.exit_code) == (503, 1)
    with pytest.raises(GatewayGone, match=r"control\.sock"), opened(link, "GET", "/x"):
        pass


def test_an_answer_that_is_no_json_is_no_answer(directory: Path) -> None:
    with serving(directory, lambda *_: b"<html>"):
        (link,) = find_links(directory)
        with pytest.raises(GatewayGone, match="broke off"):
            ask(link, "GET", "/x")


@pytest.mark.parametrize("url", ["", "x", "ftp://x", "http://", "http:///x", "https://x/admin", "//x"])
def test_a_url_is_an_origin(url: str) -> None:
    with pytest.raises(click.UsageError):
        url_link(url, "key")


def test_a_url_needs_a_key_which_goes_in_the_header() -> None:
    with pytest.raises(click.UsageError, match="COPILOT_API_KEY"):
        url_link("https://x", "")
    assert url_link("https://x/", "k").headers == {"authorization": "Bearer k"}


def test_an_id_cannot_lead_to_another_path() -> None:
    assert trace_path("../../x?y#z", "/replay") == "/admin/api/traces/..%2F..%2Fx%3Fy%23z/replay"
