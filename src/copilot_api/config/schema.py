"""
The one declaration of `config.json`: every field with its type, default, bounds and meaning.

Parsing, the JSON Schema, the messages about mistakes, the commands and the reference page all come from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, inspect

MAX_NAME = 200
_UNPRINTABLE = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    r"\u3000\ufeff\ufff9-\ufffb"
)
# Lookaheads, since `$` means something else at a line feed in Python than it does in an editor.
_PRINTABLE = rf"^(?![\s\S]*[{_UNPRINTABLE}])"
_NO_URL = rf"{_PRINTABLE}(?![\s\S]*://)"
_BASE_URL = rf"{_PRINTABLE}(?:https?://(?:\[[0-9a-fA-F:.]+\]|[^/@?#:\[\] ]+)(?::\d{{1,5}})?(?:/[^@?# ]*)?)?(?![\s\S])"


def _one_of(choice: Any) -> str:
    """The values of a choice in the order in which they are declared, which the decoder forgets."""
    return "one of " + ", ".join(value or '""' for value in get_args(choice))


_Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME,
        pattern=_PRINTABLE,
        extra={"words": f"a name of 1 to {MAX_NAME} printable characters"},
    ),
]
_ModelName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME,
        pattern=_NO_URL,
        extra={"words": f"a model's name, 1 to {MAX_NAME} printable characters, never a URL"},
    ),
]
MAX_LIMIT = 1_000_000_000
"""The most that a limit of a key may be."""
_Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]

_NEEDS_RESTART = {"needs_restart": True}
"""Of a field that is read when the gateway starts; all others change while it runs."""

Effort = Literal["", "none", "minimal", "low", "medium", "high", "xhigh", "max"]
Exposure = Literal["catalog", "listed"]
MetricsAccess = Literal["loopback", "admin", "open"]


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted of the model that clients call by this entry's name."""

    upstream: Annotated[
        str,
        Meta(
            description="Copilot's id of the model that clients call NAME; empty where NAME is that id itself. Never "
            "another alias, never a URL.",
            max_length=MAX_NAME,
            pattern=_NO_URL,
            extra={"words": f"a model's id, at most {MAX_NAME} printable characters, never a URL"},
        ),
    ] = ""
    enabled: Annotated[bool, Meta(description="Whether clients may use this name, and see it in lists.")] = True
    allowed_keys: Annotated[
        list[_Name],
        Meta(description="The keys that may use this name, by id, label or visible prefix; * is every key."),
    ] = msgspec.field(default_factory=lambda: ["*"])
    default_effort: Annotated[
        Effort,
        Meta(
            description="The reasoning effort of requests that name none, within what the model lists. Empty leaves "
            "it to the model.",
            extra={"words": _one_of(Effort)},
        ),
    ] = ""
    fallback: Annotated[
        list[_ModelName],
        Meta(
            description="Models to use instead, in this order: when the model is gone from the catalog, when the "
            "caller may spend no more on it, or when it fails before the first byte of its answer.",
            max_length=16,
        ),
    ] = []
    note: Annotated[str, Meta(description="For people; the gateway reads nothing from it.", max_length=500)] = ""


class DefaultKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of keys that have none of their own."""

    rpm: Annotated[
        _Limit | None, Meta(description="Requests in any 60 seconds, for keys that have no limit of their own.")
    ] = None
    tpm: Annotated[
        _Limit | None, Meta(description="Tokens in any 60 seconds, for keys that have no limit of their own.")
    ] = None
    max_in_flight: Annotated[
        _Limit | None, Meta(description="Calls at the same time, for keys that have no limit of their own.")
    ] = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on what clients send, and on what goes upstream."""

    max_in_flight_per_identity: Annotated[
        int,
        Meta(
            description="How many calls are under way at Copilot at once, for one GitHub identity. The others wait "
            "in a fair queue. Fan-out from one account gets it suspended: raise it with care.",
            ge=1,
            le=10_000,
        ),
    ] = 8
    queue_timeout_s: Annotated[
        float,
        Meta(description="How many seconds a call waits for a slot before it is refused with 429.", ge=0, le=3600),
    ] = 60
    max_queue_length: Annotated[
        int,
        Meta(
            description="How many calls may wait. When the line is full, the key with the most places gives one up.",
            ge=0,
            le=10_000,
        ),
    ] = 200
    max_body_mb: Annotated[
        int,
        Meta(
            description="The largest request body, in MiB. A larger one is refused with 413 before it is read.",
            ge=1,
            le=1024,
        ),
    ] = 64
    default_key: Annotated[DefaultKey, Meta(description="The limits of keys that have none of their own.")] = (
        msgspec.field(default_factory=DefaultKey)
    )
    budgets: Annotated[
        list[str],
        Meta(
            description="Budgets for all keys together, each UNIT:WINDOW:AMOUNT such as credits:month:5000, with "
            ":observe behind it to only watch.",
            examples=[["credits:day:50", "requests:month:100000:observe"]],
        ),
    ] = []


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long what is stored is kept."""

    events_days: Annotated[
        int,
        Meta(description="How many days usage events are kept; older ones are deleted by whole days.", ge=1, le=3650),
    ] = 90
    rollups_days: Annotated[
        int,
        Meta(
            description="How many days the hourly and daily sums of the events are kept, which have no single calls in "
            "them; at least as long as the events, whatever is said here.",
            ge=1,
            le=3650,
        ),
    ] = 400
    traces_days: Annotated[
        int,
        Meta(
            description="How many days redacted captures are kept on disk, the day they were written on counting as "
            "the first; 0 keeps them in memory only, and deletes what is on disk.",
            ge=0,
            le=7,
        ),
    ] = 0
    traces_max_bytes: Annotated[
        int,
        Meta(
            description="How many bytes the captures on disk may take together. Before it would be more, the oldest "
            "day goes.",
            ge=0,
            le=1_073_741_824,
        ),
    ] = 1_073_741_824
    audit_days: Annotated[
        int,
        Meta(
            description="How many days the audit log is kept. Segments go as a whole, so that a line stays for up to a "
            "month longer.",
            ge=1,
            le=36_500,
        ),
    ] = 365


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is switched on."""

    auth: Annotated[
        bool, Meta(description="false lets everybody in without a key, as --no-auth does and with the same guard.")
    ] = True
    webui: Annotated[
        bool,
        Meta(
            description="The admin pages, at /admin. Without them nobody is signed in; the admin API goes on, with "
            "admin keys."
        ),
    ] = True
    telemetry: Annotated[
        bool,
        Meta(
            description="The ledger: one usage event for each call. Without it nothing is known of past calls, and "
            "budgets forget with a restart what was spent."
        ),
    ] = True
    debug: Annotated[
        bool,
        Meta(
            description="Whether calls may be captured. None is until an admin asks for it, for a key or for one "
            "request; false forbids it, and ends the captures that run."
        ),
    ] = True
    metrics: Annotated[bool, Meta(description="Metrics for Prometheus, at GET /metrics.")] = True


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may read GET /metrics."""

    access: Annotated[
        MetricsAccess,
        Meta(
            description="Who may read GET /metrics: loopback is programs on this machine without a key, and everybody "
            "else with an admin key; admin is nobody without an admin key; open is everybody who reaches the port. A "
            "request that came through a proxy is never taken for one of this machine.",
            extra={"words": _one_of(MetricsAccess)},
        ),
    ] = "loopback"


class OpenTelemetry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is exported of each call to OpenTelemetry's collector. Read when the gateway starts."""

    endpoint: Annotated[
        str,
        Meta(
            description="The base URL of an OTLP/HTTP receiver, such as http://127.0.0.1:4318, that gets traces and "
            "metrics of all calls, without their content; empty exports nothing. Credentials for it stand in the "
            "variable OTEL_EXPORTER_OTLP_HEADERS, never here. A change needs a restart.",
            max_length=2000,
            pattern=_BASE_URL,
            extra={
                "words": "an http or https URL without credentials, query and fragment, or empty",
                **_NEEDS_RESTART,
            },
        ),
    ] = ""
    traces: Annotated[
        bool,
        Meta(
            description="Whether traces are exported, where there is an endpoint. A change needs a restart.",
            extra=_NEEDS_RESTART,
        ),
    ] = True
    metrics: Annotated[
        bool,
        Meta(
            description="Whether metrics are exported, where there is an endpoint. A change needs a restart.",
            extra=_NEEDS_RESTART,
        ),
    ] = True


class ConfigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a gateway that are kept in its data directory. Every field is optional."""

    version: Annotated[int, Meta(description="The version of this file's form.", ge=1, le=1)] = 1
    schema: Annotated[str, Meta(description="For editors; the gateway reads nothing from it.")] = msgspec.field(
        default="", name="$schema"
    )
    models: Annotated[
        dict[_Name, ModelEntry], Meta(description="Names for models, and what is wanted of models by their own name.")
    ] = {}
    exposure: Annotated[
        Exposure,
        Meta(
            description="Which models clients can use: catalog is the account's whole catalog and the names in models, "
            "listed is the names in models and nothing else.",
            extra={"words": _one_of(Exposure)},
        ),
    ] = "catalog"
    default_model_alias: Annotated[
        str,
        Meta(
            description="The name in models that a request gets whose model is not known; empty refuses it.",
            max_length=MAX_NAME,
            pattern=_NO_URL,
            extra={"words": "a name in models, or empty"},
        ),
    ] = ""
    limits: Annotated[Limits, Meta(description="Bounds on what clients send, and on what goes upstream.")] = (
        msgspec.field(default_factory=Limits)
    )
    retention: Annotated[Retention, Meta(description="How long what is stored is kept.")] = msgspec.field(
        default_factory=Retention
    )
    features: Annotated[Features, Meta(description="What is switched on.")] = msgspec.field(default_factory=Features)
    metrics: Annotated[Metrics, Meta(description="Who may read GET /metrics.")] = msgspec.field(default_factory=Metrics)
    opentelemetry: Annotated[
        OpenTelemetry, Meta(description="What is exported of each call to OpenTelemetry's collector.")
    ] = msgspec.field(default_factory=OpenTelemetry)


# What is declared, for those who show it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """A field that holds a value, not further fields."""

    path: str
    """`limits.max_body_mb`; `models.NAME.upstream` stands for that field of every model."""
    words: str
    """What its value may be."""
    default: str
    """As JSON."""
    description: str
    needs_restart: bool = False
    """Whether a change is in force only after a restart; else within a second."""


def bare(kind: inspect.Type) -> inspect.Type:
    """A type without what is said about it."""
    return bare(kind.type) if isinstance(kind, inspect.Metadata) else kind


def said_of(kind: inspect.Type) -> dict[str, Any]:
    """What the declaration says about a type, `Meta.extra` and the description together."""
    if not isinstance(kind, inspect.Metadata):
        return {}
    said = msgspec.structs.asdict(kind)
    return {**said_of(kind.type), **(said["extra_json_schema"] or {}), **(said["extra"] or {})}


def in_words(kind: inspect.Type) -> str:
    """What a value of this type may be."""
    if words := said_of(kind).get("words"):
        return str(words)
    match bare(kind):
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high) if low is not None and low == high:
            return f"the number {low}"
        case inspect.IntType(ge=low, le=high):
            return "a whole number" + _bounds_in_words(low, high)
        case inspect.FloatType(ge=low, le=high):
            return "a number" + _bounds_in_words(low, high)
        case inspect.StrType(max_length=longest):
            return "text" if longest is None else f"text of at most {longest} characters"
        case inspect.LiteralType(values=values):
            return " or ".join(msgspec.json.encode(value).decode() for value in values)
        case inspect.UnionType(types=types):
            return " or ".join(in_words(each) for each in types if not isinstance(each, inspect.NoneType)) + " or null"
        case inspect.ListType(item_type=item, max_length=longest):
            return f"a list{'' if longest is None else f' of at most {longest}'}, each {in_words(item)}"
        case inspect.StructType() as struct:
            return f"an object with {', '.join(fields_of(struct))}"
        case _:
            return "an object"


def _bounds_in_words(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" from {low} to {high}"


def fields_of(kind: inspect.StructType) -> dict[str, inspect.Field]:
    """The fields of an object by their names in the file."""
    return {each.encode_name: each for each in kind.fields}


def root_type() -> inspect.StructType:
    """The declaration as a whole, to be walked."""
    return _ROOT


@cache
def list_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the declaration."""
    return tuple(_list_settings(_ROOT, ""))


def _list_settings(kind: inspect.Type, path: str) -> Iterator[Setting]:
    match bare(kind):
        case inspect.StructType() as struct:
            for name, each in fields_of(struct).items():
                below = f"{path}.{name}" if path else name
                if _has_fields(each.type):
                    yield from _list_settings(each.type, below)
                else:
                    said = said_of(each.type)
                    yield Setting(
                        below,
                        in_words(each.type),
                        msgspec.json.encode(default_of(each)).decode(),
                        str(said.get("description", "")),
                        needs_restart=bool(said.get("needs_restart")),
                    )
        case inspect.DictType(value_type=value):
            yield from _list_settings(value, f"{path}.NAME")
        case _:
            pass


def _has_fields(kind: inspect.Type) -> bool:
    return isinstance(bare(kind), inspect.StructType | inspect.DictType)


def default_of(field: inspect.Field) -> Any:
    """The value of a field that is not said."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors and other programs."""
    schema = msgspec.json.schema(ConfigFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:copilot-api:config:1",
        "title": "config.json of copilot-api",
        **schema,
    }


def _load_root() -> inspect.StructType:
    kind = inspect.type_info(ConfigFile)
    assert isinstance(kind, inspect.StructType)  # noqa: S101 -- what a Struct is described as
    return kind


_ROOT = _load_root()
