"""`POST /admin/api/audit/verify`: what is wrong with the log is in the answer."""

import msgspec
import pytest

from copilot_api.api.audit_verify import AuditVerifier
from copilot_api.api.operations.traces import AuditVerdict
from tests.api.admin_site import AdminSite, error_of


@pytest.fixture
def site(admin_site: AdminSite) -> AdminSite:
    verifier = AuditVerifier(admin_site.stored.directory.audit)
    admin_site.serve({"verify_audit": verifier.verify})
    return admin_site


def verify(site: AdminSite, body: object = None) -> AuditVerdict:
    reply = site.call("POST", "/audit/verify", body)
    assert reply.status == 200
    return msgspec.convert(reply.json, AuditVerdict)


def test_a_whole_log_is_told_with_its_head(site: AdminSite) -> None:
    verdict = verify(site)
    assert verdict.ok
    assert verdict.head is not None
    assert verdict.head.seq == verdict.lines == len(site.stored.audit.list_events())


def test_an_edit_is_found(site: AdminSite) -> None:
    path = site.stored.directory.audit
    path.write_bytes(path.read_bytes().replace(b"key.issued", b"key.revoked", 1))
    verdict = verify(site, {})
    assert (verdict.ok, len(verdict.problems) > 0) == (False, True)


def test_a_head_that_was_kept_elsewhere_has_to_be_in_the_chain(site: AdminSite) -> None:
    head = verify(site).head
    assert head is not None
    assert verify(site, {"expect": f"{head.seq}:{head.hash}"}).ok
    assert not verify(site, {"expect": f"{head.seq}:{'0' * 64}"}).ok


@pytest.mark.parametrize("body", [{"expect": "12"}, {"expect": 5}, {"head": "x"}])
def test_what_is_no_head_is_refused(site: AdminSite, body: object) -> None:
    assert error_of(site.call("POST", "/audit/verify", body))[0] == 400


def test_a_log_that_cannot_be_read_is_no_verdict(site: AdminSite) -> None:
    path = site.stored.directory.audit
    path.unlink()
    path.mkdir()
    assert error_of(site.call("POST", "/audit/verify"))[:2] == (503, "storage_unavailable")
