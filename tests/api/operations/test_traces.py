"""What the operations on captures and on the audit log declare is what they take and answer."""

import asyncio
import json
import re
from pathlib import Path

import msgspec
import pytest

from copilot_api.api.audit import AuditApi
from copilot_api.api.door import Door
from copilot_api.api.operations.table import BY_ID
from copilot_api.api.operations.traces import AuditList, DryRunDocument, TraceList
from copilot_api.api.routes import Router
from copilot_api.api.trace_access import KeyAccess
from copilot_api.capture.models import Trace
from copilot_api.keys.service import IssuedKey
from tests.api.admin_router import make_admin_router
from tests.api.trace_site import keep, make_api, make_services, make_traces
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.stored import Stored


class Site:
    def __init__(self, router: Router, secret: str) -> None:
        self.router, self.secret = router, secret

    def call(self, path: str, method: str = "GET", query: bytes = b"", body: bytes = b"") -> Reply:
        headers = {"authorization": f"Bearer {self.secret}"}
        return asyncio.run(ask(self.router, path, method=method, query=query, headers=headers, body=body))


@pytest.fixture
def site(stored: Stored, door: Door, clock: FakeClock, admin: IssuedKey, tmp_path: Path) -> Site:
    traces = make_traces(tmp_path / "traces", clock)
    for number in range(3):
        keep(traces, f"req_{number}")
    api = make_api(KeyAccess(door), make_services(traces, stored.keys, stored.audit.append, clock), clock)
    names = ("list_traces", "show_trace", "try_redaction")
    audit = AuditApi(door, stored.audit, clock)
    return Site(make_admin_router({**dict.fromkeys(names, api), "list_audit": audit}), admin.secret)


def test_lists_and_single_ones_are_of_the_declared_form(site: Site) -> None:
    page = msgspec.convert(site.call("/admin/api/traces", query=b"limit=2").json, TraceList)
    assert (len(page.traces), page.next is not None) == (2, True)
    assert msgspec.convert(site.call("/admin/api/traces/req_1").json, Trace).request_id == "req_1"
    assert msgspec.convert(site.call("/admin/api/audit").json, AuditList).events[0].seq


def test_a_dry_run_is_too() -> None:
    from copilot_api.capture.dry_run import run_dry

    text = "ghp_0123456789abcdefghijABCDEFGHIJ012345 and 5f4dcc3b5aa765d61d8327deb882cf99"
    document = msgspec.json.decode(msgspec.json.encode(run_dry(text.encode()).to_document()), type=DryRunDocument)
    assert document.hits
    assert document.near_misses


def test_a_text_is_tried_as_declared(site: Site) -> None:
    reply = site.call("/admin/api/traces/redact", "POST", body=json.dumps({"text": "plain"}).encode())
    assert msgspec.convert(reply.json, DryRunDocument).text == "plain"


@pytest.mark.parametrize("name", ["list_traces", "list_audit"])
def test_the_parameters_that_are_read_are_those_that_are_declared(site: Site, name: str) -> None:
    operation = BY_ID[name]
    message = site.call(operation.path, query=b"colour=red").json["error"]["message"]
    found = re.search(r"there are ([a-z, _]+)", message)
    assert found is not None
    assert set(found[1].strip().split(", ")) == {parameter.name for parameter in operation.parameters}
