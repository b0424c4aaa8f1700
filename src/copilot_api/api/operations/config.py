"""The operations on the configuration."""

from dataclasses import replace
from typing import Any, Literal

import msgspec

from copilot_api.api.operations.operation import Body, Operation, Parameter, Refusal, refusal
from copilot_api.config.schema import ConfigFile
from copilot_api.config.store import ConfigConflict
from copilot_api.errors import CatalogUnavailable

TAG = "config"
MAX_CONFIG_BYTES = 1024 * 1024
_CONFLICT = refusal(ConfigConflict)
_INVALID = Refusal(422, "invalid_request")
_NO_MATCH = Refusal(428, "invalid_request")
_IF_MATCH = Parameter(
    "If-Match",
    'the `hash` that GET gives, in quotes; `""` where there is no file, `*` for whatever is there. Without it: 428',
    example="*",
)
_FILE = Body(bytes, max_bytes=MAX_CONFIG_BYTES, schema_kind=ConfigFile, example={"version": 1})


class ConfigInForce(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The configuration in force, with the defaults of what the file does not say."""

    config: ConfigFile
    hash: str
    """The SHA-256 of the file in force; empty where there was none."""
    rejected: str | None
    """Why the file as it is now cannot be used."""
    path: str


class ConfigWritten(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that is there now; it is in force within a second."""

    hash: str


class ConfigChanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that is there now, and which fields are not what they were."""

    hash: str
    changed: list[str]


class ConfigChange(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Single fields to be changed; all else in the file stays as it is written."""

    set: dict[str, Any] = {}
    """By path, such as `limits.max_body_mb` or `models.fast.upstream`, the value as JSON."""
    unset: list[str] = []
    """The paths of fields to be taken out of the file, so that their defaults hold."""


class Meaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a name means to a key: the model that answers, or the error that calls get."""

    model: str | None
    error: str | None


class ImpactRow(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The calls of one key by one name, as far as they fare alike."""

    key_id: str
    label: str
    model: str
    effect: Literal["fails", "changes", "works", "same"]
    before: Meaning
    after: Meaning
    requests: int
    priced_requests: int
    credits_before: float | None
    credits_after: float | None


class ImpactTotal(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All of them together."""

    requests: int
    fails: int
    changes: int
    works: int
    same: int
    keys: int
    credits_difference: float
    unpriced_requests: int


class LeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls of keys that are not valid any more."""

    keys: int
    requests: int


class ConfigImpact(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a change would have done to the calls of a period."""

    since: str
    until: str
    rows: list[ImpactRow]
    total: ImpactTotal
    left_out: LeftOut


class MistakeDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One thing that is wrong with a file, and where."""

    path: str
    line: int
    column: int
    problem: str
    allowed: str


class ConfigVerdict(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Whether a file could be used."""

    valid: bool
    problem: str | None
    """What is wrong with it as a whole, where it is no single place."""
    mistakes: list[MistakeDocument]


class VersionDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A version of the file that was replaced."""

    id: str
    at: str
    """When it was replaced."""
    hash: str
    size: int
    changed: list[str]
    """The fields that what replaced it changed."""


class VersionList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The versions that are kept, newest first."""

    versions: list[VersionDocument]


class VersionContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of the file, as it was written."""

    id: str
    hash: str
    content: str


class Rollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version is to be put back."""

    version: str


OPERATIONS = (
    Operation(
        id="get_config",
        method="GET",
        path="/admin/api/config",
        tag=TAG,
        summary="Show the configuration in force",
        answer=ConfigInForce,
    ),
    Operation(
        id="replace_config",
        method="PUT",
        path="/admin/api/config",
        tag=TAG,
        summary="Put another config.json in the place of the one that is there",
        answer=ConfigWritten,
        headers=(_IF_MATCH,),
        body=_FILE,
        refusals=(_CONFLICT, _INVALID, _NO_MATCH),
        is_sensitive=True,
    ),
    Operation(
        id="change_config",
        method="PATCH",
        path="/admin/api/config",
        tag=TAG,
        summary="Change single fields of config.json",
        answer=ConfigChanged,
        headers=(_IF_MATCH,),
        body=Body(ConfigChange, max_bytes=MAX_CONFIG_BYTES, example={"set": {"limits.max_body_mb": 32}, "unset": []}),
        refusals=(_CONFLICT, _INVALID, _NO_MATCH),
        is_sensitive=True,
    ),
    Operation(
        id="preview_config",
        method="POST",
        path="/admin/api/config/preview",
        tag=TAG,
        summary="Say what a configuration would have done to the calls of the last 7 days",
        answer=ConfigImpact,
        body=_FILE,
        refusals=(_INVALID, refusal(CatalogUnavailable)),
    ),
    Operation(
        id="validate_config",
        method="POST",
        path="/admin/api/config/validate",
        tag=TAG,
        summary="Check a file, and say everything that is wrong with it",
        about="Nothing is changed. What is wrong is in the answer, whose status is 200 all the same.",
        answer=ConfigVerdict,
        body=replace(_FILE, is_required=False),  # that it is empty is for the verdict to say
    ),
    Operation(
        id="get_config_schema",
        method="GET",
        path="/admin/api/config/schema",
        tag=TAG,
        summary="Get the JSON Schema of config.json",
        answer=dict[str, Any],
    ),
    Operation(
        id="list_config_versions",
        method="GET",
        path="/admin/api/config/history",
        tag=TAG,
        summary="List the versions of config.json that were replaced, newest first",
        about="The last 20 are kept, so there are no pages.",
        answer=VersionList,
    ),
    Operation(
        id="get_config_version",
        method="GET",
        path="/admin/api/config/history/{id}",
        tag=TAG,
        summary="Show a version of config.json as it was written",
        answer=VersionContent,
        refusals=(Refusal(404, "config_version_not_found"),),
    ),
    Operation(
        id="roll_config_back",
        method="POST",
        path="/admin/api/config/rollback",
        tag=TAG,
        summary="Put an earlier version of config.json back",
        about="It is a change like any other: what it replaces becomes a version itself.",
        answer=ConfigChanged,
        body=Body(Rollback),
        refusals=(Refusal(404, "config_version_not_found"), _CONFLICT, _INVALID),
        is_sensitive=True,
    ),
)
