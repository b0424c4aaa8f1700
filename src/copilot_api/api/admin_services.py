"""What answers each operation of the admin API, put together from the services that the gateway runs on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from copilot_api.admission.service import Admission
from copilot_api.api.admin_endpoint import Act, AdminEndpoint, Asked
from copilot_api.api.audit import AuditApi
from copilot_api.api.audit_verify import AuditVerifier
from copilot_api.api.calls import Calls
from copilot_api.api.captures import KeyCaptures
from copilot_api.api.config import ConfigApi
from copilot_api.api.door import Door
from copilot_api.api.http_exchange import Application
from copilot_api.api.identities import Identities
from copilot_api.api.keys import KeysApi
from copilot_api.api.ledger import LedgerApi
from copilot_api.api.offers import OffersApi
from copilot_api.api.openapi import make_document
from copilot_api.api.operations.account import IdentityList, Resumed, SignIn
from copilot_api.api.operations.standing import Overview, System
from copilot_api.api.operations.table import OPERATIONS
from copilot_api.api.overview import Overviews
from copilot_api.api.privacy import PrivacyApi
from copilot_api.api.sign_in import Asker, SignIns
from copilot_api.api.system import SystemReports
from copilot_api.audit.log import AuditLog
from copilot_api.clock import Clock
from copilot_api.keys.service import KeyService


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminServices:
    """See the module."""

    door: Door
    clock: Clock
    keys: KeyService
    admission: Admission
    may_capture: Callable[[], bool]
    audit: AuditLog
    audit_path: Path
    calls: Calls
    overviews: Overviews
    system: SystemReports
    identities: Identities
    sign_ins: SignIns
    offers: OffersApi
    ledger: LedgerApi
    traces: Application
    sessions: Application
    config: ConfigApi | None
    """None where the settings are not from a file."""
    privacy: PrivacyApi | None
    """None where nobody said how it is done."""


def make_endpoints(services: AdminServices) -> dict[str, Application]:
    """What answers, by the ids of the operations."""
    keys = KeysApi(services.keys, services.admission, services.clock)
    captures = KeyCaptures(services.door, services.keys, services.may_capture)
    verifier = AuditVerifier(services.audit_path)
    acts: dict[str, Act] = {
        "get_overview": _Looks(services).overview,
        "get_system": _Looks(services).system,
        "get_openapi": _show_document,
        "cancel_call": services.calls.answer,
        "list_keys": keys.list_some,
        "create_key": keys.create,
        "show_key": keys.show,
        "change_key": keys.change,
        "delete_key": keys.revoke,
        "revoke_key": keys.revoke,
        "rotate_key": keys.rotate,
        "show_key_limits": keys.show_limits,
        "list_identities": _Looks(services).identities,
        "resume_identity": _Looks(services).resume,
        "start_sign_in": _Looks(services).start_sign_in,
        "show_sign_in": _Looks(services).show_sign_in,
        "cancel_sign_in": _Looks(services).cancel_sign_in,
        "list_models": services.offers.list_all,
        "list_drift": services.offers.list_drift,
        "verify_audit": verifier.verify,
    }
    if services.config is not None:
        acts |= list_config_acts(services.config)
    if services.privacy is not None:
        acts["erase_privacy"] = services.privacy.erase
    endpoints: dict[str, Application] = {
        name: AdminEndpoint(services.door, services.clock, act) for name, act in acts.items()
    }
    endpoints |= {
        "capture_key": captures,
        "end_key_capture": captures,
        "get_usage": services.ledger.usage,
        "get_waste": services.ledger.waste,
        "list_events": services.ledger.events,
        "list_audit": AuditApi(services.door, services.audit, services.clock),
        "list_sessions": services.sessions,
        "end_session": services.sessions,
    }
    if services.privacy is not None:
        endpoints["export_privacy"] = services.privacy.export
    traces = (operation.id for operation in OPERATIONS if operation.tag == "traces")
    return endpoints | dict.fromkeys(traces, services.traces)


def list_config_acts(config: ConfigApi) -> dict[str, Act]:
    """What does the operations on the configuration, by their ids."""
    return {
        "get_config": config.show,
        "replace_config": config.replace,
        "change_config": config.change,
        "preview_config": config.preview,
        "validate_config": config.validate,
        "get_config_schema": config.show_schema,
        "list_config_versions": config.list_versions,
        "get_config_version": config.show_version,
        "roll_config_back": config.roll_back,
    }


@dataclass(frozen=True, slots=True)
class _Looks:
    """Operations whose services know nothing of requests, since pages ask them too."""

    services: AdminServices

    async def overview(self, _asked: Asked) -> Overview:
        return await self.services.overviews.get()

    async def system(self, _asked: Asked) -> System:
        return await self.services.system.get()

    async def identities(self, _asked: Asked) -> IdentityList:
        return await self.services.identities.list_all()

    async def resume(self, asked: Asked) -> Resumed:
        return await self.services.identities.resume(asked.names["id"], asked.admin.id, asked.origin)

    async def start_sign_in(self, asked: Asked) -> SignIn:
        return await self.services.sign_ins.start(asked.names["id"], Asker(asked.admin.id, asked.origin))

    async def show_sign_in(self, asked: Asked) -> SignIn:
        return self.services.sign_ins.show(asked.names["id"])

    async def cancel_sign_in(self, asked: Asked) -> SignIn:
        return await self.services.sign_ins.cancel(asked.names["id"])


async def _show_document(_asked: Asked) -> msgspec.Raw:
    return _render_document()


@cache
def _render_document() -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(make_document(OPERATIONS)))
