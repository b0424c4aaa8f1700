"""
What one operation of the admin API is: where, what it takes, what it answers, how it may refuse.

The router, the reading of parameters and bodies, the OpenAPI document and the reference all go by these declarations.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from copilot_api.errors import (
    AddressNotAllowed,
    AdminRequired,
    BadRequest,
    BodyTooLarge,
    GatewayError,
    RequestTimeout,
    StorageUnavailable,
    Unauthorized,
    UnsupportedMediaType,
)

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
MAX_BODY_BYTES = 64 * 1024
_NAME = re.compile(r"\{(\w+)\}")


class Refusal(NamedTuple):
    """One way in which an operation refuses."""

    status: int
    code: str


def refusal(error: type[GatewayError], status: int | None = None) -> Refusal:
    """What an error is answered as; some are raised with another status than their own."""
    return Refusal(status or error.status, error.code)


SESSION_REFUSALS = tuple(
    Refusal(403, code) for code in ("https_required", "cross_site_request", "csrf_token_invalid", "step_up_required")
)
"""How the session of a browser may fall short, where it has to suffice for more than looking."""
_ALWAYS = tuple(map(refusal, (BadRequest, Unauthorized, AdminRequired, AddressNotAllowed, StorageUnavailable)))
_OF_BODIES = tuple(map(refusal, (BodyTooLarge, UnsupportedMediaType, RequestTimeout)))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query string, or one header."""

    name: str
    about: str
    kind: Any = str
    """The type of its value, as msgspec describes it."""
    is_required: bool = False
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries."""

    kind: Any
    """The type that its JSON is read as; bytes for what the operation reads itself."""
    is_required: bool = True
    max_bytes: int = MAX_BODY_BYTES
    example: Any = None
    schema_kind: Any = None
    """The type that the document describes, where that is another."""

    @property
    def described(self) -> Any:
        """The type that the document describes."""
        return self.schema_kind or self.kind


@dataclass(frozen=True, kw_only=True)
class Operation:
    """See the module."""

    id: str
    method: Method
    path: str
    """With names in braces where something stands in it, such as `/admin/api/keys/{id}`."""
    tag: str
    summary: str
    answer: Any
    """The type of what is answered as JSON; None where nothing is."""
    about: str = ""
    """What there is to know beyond the summary."""
    status: int = 200
    parameters: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    body: Body | None = None
    refusals: tuple[Refusal, ...] = ()
    """How it may refuse, beside what every operation may."""
    media_types: tuple[str, ...] = ("application/json",)
    """What it may answer; of others than JSON nothing is said but that they are text or bytes."""
    is_sensitive: bool = False
    """Whether a session has to have shown its key within the last minutes."""
    answer_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers of the answer beside those of all, each with what it says."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the paths of this operation, each name as a group."""
        pieces = _NAME.split(self.path)
        return re.compile(
            "".join(f"(?P<{piece}>[^/]+)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces))
        )

    @cached_property
    def path_names(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(_NAME.findall(self.path))

    @cached_property
    def all_refusals(self) -> tuple[Refusal, ...]:
        """Every way in which it refuses, by status."""
        found = [*_ALWAYS, *SESSION_REFUSALS, *self.refusals]
        if self.body is not None:
            found += _OF_BODIES
        return tuple(sorted(dict.fromkeys(found)))
