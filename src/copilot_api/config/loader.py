"""
`config.json` to values. Unknown fields and wrong types are refused with their path, and nothing else is changed.

This version reads what it enforces, and no more: a field that would be kept without effect is refused like a typo.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from copilot_api.errors import BadRequest, GatewayError
from copilot_api.protocols.json_object import refuse_duplicate_keys


class ConfigInvalid(GatewayError):
    """The configuration file cannot be used."""

    number, code, status = 905, "config_invalid", 500
    is_final = True


Effort = Literal["", "none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """Bounds on what clients send."""

    max_body_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 64


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
    return config
