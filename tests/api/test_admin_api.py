"""The admin API finds what answers a request in its table, and serves nothing else."""

import asyncio
from typing import Any

import pytest

from copilot_api.api.admin_api import AdminApi
from copilot_api.api.admin_endpoint import NAMES, OPERATION
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.operations.table import OPERATIONS
from copilot_api.api.responses import send_json
from tests.api.wire import Reply, ask


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, {"operation": scope["state"][OPERATION].id, "names": scope["state"][NAMES]})


EVERY = AdminApi({operation.id: tell for operation in OPERATIONS})


def call(path: str, method: str = "GET", api: AdminApi = EVERY) -> Reply:
    return asyncio.run(ask(api, path, method=method))


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_operation_is_found_by_its_method_and_path(operation: Any, slash: str) -> None:
    names = {name: f"some-{name}" for name in operation.path_names}
    reply = call(operation.path.format(**names) + slash, operation.method)
    assert reply.json == {"operation": operation.id, "names": names}


def test_a_path_without_a_name_in_it_goes_before_one_with() -> None:
    assert call("/admin/api/traces/tail").json["operation"] == "tail_traces"
    assert call("/admin/api/traces/tails").json == {"operation": "show_trace", "names": {"id": "tails"}}


@pytest.mark.parametrize(
    "path",
    ["/admin/api", "/admin/api/nothing", "/admin/api/keys/a/b", "/admin/api/keys/a/debug/b", "/admin/api//keys",
     "/admin/api/keys//debug", "/admin/api/KEYS", "/admin/traces/.jsonl", "/admin/traces/a/b.jsonl"],
)  # fmt: skip
def test_what_is_no_operation_is_not_found(path: str) -> None:
    assert call(path).status == 404


def test_another_method_is_refused_with_those_that_there_are() -> None:
    reply = call("/admin/api/keys/a", "PUT")
    assert (reply.status, (reply.headers or {})["allow"]) == (405, "GET, PATCH, DELETE")
    assert call("/admin/api/keys", "HEAD").status == 405


def test_an_operation_that_nobody_declared_cannot_be_served() -> None:
    with pytest.raises(ValueError, match="open_door"):
        AdminApi({"open_door": tell})


def test_one_that_this_gateway_does_not_have_is_not_found() -> None:
    assert call("/admin/api/config", api=AdminApi({})).status == 404
