"""
`config.json` to values. Unknown fields and wrong types are refused with their path, and nothing else is changed.

This version reads what it enforces, and no more: a field that would be kept without effect is refused like a typo.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from copilot_api.config.budgets import Budget, parse_budget
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.protocols.json_object import refuse_duplicate_keys


class ConfigInvalid(GatewayError):
    """The configuration file cannot be used."""

    number, code, status = 905, "config_invalid", 500
    is_final = True


Effort = Literal["", "none", "minimal", "low", "medium", "high", "xhigh", "max"]


_Limit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class DefaultKey(msgspec.Struct, forbid_unknown_fields=True):
    """The limits of keys that have none of their own."""

    rpm: _Limit | None = None
    tpm: _Limit | None = None
    max_in_flight: _Limit | None = None


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """Bounds on what clients send, and on what goes upstream."""

    max_in_flight_per_identity: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8
    queue_timeout_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60
    max_queue_length: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 200
    max_body_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 64
    default_key: DefaultKey = msgspec.field(default_factory=DefaultKey)
    budgets: list[str] = []


class Features(msgspec.Struct, forbid_unknown_fields=True):
    """What is switched on."""

    auth: bool = True


class ModelEntry(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted of the model that clients call by this entry's name."""

    upstream: str = ""
    default_effort: Effort = ""


class ConfigFile(msgspec.Struct, forbid_unknown_fields=True):
    """The file as a whole."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    schema: str = msgspec.field(default="", name="$schema")
    models: dict[Annotated[str, msgspec.Meta(min_length=1, max_length=200)], ModelEntry] = {}
    limits: Limits = msgspec.field(default_factory=Limits)
    features: Features = msgspec.field(default_factory=Features)


def load_config(path: Path) -> ConfigFile:
    """The configuration in `path`; the defaults when there is no such file. Raises `ConfigInvalid`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ConfigFile()
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}") from error
    try:
        config = msgspec.json.decode(content, type=ConfigFile)
        refuse_duplicate_keys(content)
    except BadRequest as error:
        raise ConfigInvalid(f"{path}: {error.message.replace('the body', 'the file')}", hint="say it once") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigInvalid(
            f"{path}: {error}", hint="mend the file, or move it away to start with the defaults"
        ) from error
    try:
        parse_budgets(config)
    except BadRequest as error:
        raise ConfigInvalid(f"{path}: {error.message}", hint=error.actual_hint) from error
    return config


def parse_budgets(config: ConfigFile) -> tuple[Budget, ...]:
    """The budgets of all keys together. Raises `BadRequest` with the path of the one that is wrong."""
    budgets: dict[str, Budget] = {}
    for place, text in enumerate(config.limits.budgets):
        try:
            budget = parse_budget(text)
        except BadRequest as error:
            raise BadRequest(f"{error.message} - at `$.limits.budgets[{place}]`", hint=error.actual_hint) from error
        if budget.name in budgets:
            raise BadRequest(
                f"there are two budgets {budget.name} - at `$.limits.budgets[{place}]`", hint="say it once"
            )
        budgets[budget.name] = budget
    return tuple(budgets.values())
