"""
A line of the audit log, as values and as bytes.

`{"seq", "at", "actor", "action", "target", "detail", "address", "user_agent", "request_id", "prev", "hash"}`, of which
the three about the origin are there only when they are known. `hash` is the SHA-256 of the line's bytes without its own
field, `prev` the hash of the line before. For its values a line has one form and no other: what is not in that form was
not written here.
"""

import hashlib
import re
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from copilot_api.audit.models import AuditEvent

MAX_LINE_BYTES = 1024 * 1024
MAX_ORIGIN_CHARACTERS = 200
"""How much is kept of a user agent, and of an address."""

OLD_FIRST_PREV = "0" * 64
"""The `prev` of the first line of a log that was begun before there were heads."""
FIRST_PREV = "0" * 63 + "1"
"""The `prev` of the first line of a log that has had a head ever since."""

_NO_HASH = b',"hash":""}'
_HASH = re.compile(r"[0-9a-f]{64}")
_UNSHOWN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""
What a terminal may obey, or an eye not see: C1 controls, line separators, what turns the direction of text. Listed here
rather than asked of Python, whose tables change with its versions: a line's form must not.
"""


class Link(NamedTuple):
    """What a line tells the next one."""

    seq: int
    hash: str

    @property
    def text(self) -> str:
        """In one word, as commands print it and take it."""
        return f"{self.seq}:{self.hash}"


def parse_link(text: str) -> Link | None:
    """A link in one word; None for what is none."""
    seq, _, digest = text.partition(":")
    if not re.fullmatch("[0-9]{1,15}", seq) or not _HASH.fullmatch(digest):
        return None
    return Link(int(seq), digest)


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One action on record."""

    seq: int
    """The lines' numbers are without a gap, from 1 on."""
    at: str
    """When, in UTC, as ISO 8601 has it."""
    actor: str
    action: str
    target: str
    detail: dict[str, Any]
    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    prev: str
    hash: str

    @property
    def link(self) -> Link:
        """What the next line is to follow."""
        return Link(self.seq, self.hash)

    @property
    def moment(self) -> datetime:
        """`at`. Raises `ValueError` for what is no time with an offset."""
        moment = datetime.fromisoformat(self.at)
        if moment.tzinfo is None:
            raise ValueError("its time has no offset")
        return moment


_decoder = msgspec.json.Decoder(AuditRecord)


def make_record(event: AuditEvent, at: datetime, previous: Link) -> AuditRecord:
    """`event` as what follows `previous`; its hash is made with its line."""
    origin = event.origin
    return AuditRecord(
        seq=previous.seq + 1,
        at=at.isoformat(),
        actor=event.actor,
        action=event.action.value,
        target=event.target,
        detail=event.detail,
        address=_cut(origin.address),
        user_agent=_cut(origin.user_agent),
        request_id=_cut(origin.request_id),
        prev=previous.hash,
        hash="",
    )


def render_line(record: AuditRecord) -> bytes:
    """
    The line of `record`, whose own hash is not looked at.

    Raises `ValueError`, `TypeError` or `OverflowError` for what a line cannot hold.
    """
    line = _close(_render_body(record))
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a line of {len(line)} bytes is over the limit of {MAX_LINE_BYTES}")
    return line


def parse_line(line: bytes) -> AuditRecord:
    """The record that a whole line holds. Raises `ValueError` with what is wrong with it, in words."""
    if not line.endswith(b"\n"):
        raise ValueError("it has no end: the rest of it is missing")
    try:
        record = read_record(line)
        body = _render_body(record)
    except (OverflowError, TypeError) as error:
        raise ValueError("it is no line of an audit log") from error
    if hashlib.sha256(body).hexdigest() != record.hash:
        raise ValueError("its hash does not match: it was edited")
    if _close(body) != line:
        raise ValueError("it is not written as the gateway writes: it was edited")
    return record


def read_record(line: bytes) -> AuditRecord:
    """What a line says, whether it is as the gateway wrote it or not. Raises `ValueError`."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ValueError("it is no line of an audit log") from error


def describe_record(record: AuditRecord) -> dict[str, Any]:
    """A record for programs: its fields in the order of the line, those that are there."""
    fields: dict[str, Any] = msgspec.to_builtins(record)
    return fields


def _close(body: bytes) -> bytes:
    return body[:-1] + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def _render_body(record: AuditRecord) -> bytes:
    encoded = msgspec.json.encode(msgspec.structs.replace(record, hash=""))
    if not encoded.endswith(_NO_HASH):
        raise ValueError("it is no line of an audit log")
    body = encoded[: -len(_NO_HASH)] + b"}"
    if body.isascii() and b"\x7f" not in body:
        return body
    return _UNSHOWN.sub(_escape, body.decode()).encode()


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _cut(text: str | None) -> str | None:
    return text[:MAX_ORIGIN_CHARACTERS] if text else None
