"""
Which events: conditions on their fields, and the query grammar that people write them in.

    key:ci model:opus status:>=400 ttft:>5s cause:upstream_cut,upstream_error -client:codex since:2h

Terms stand side by side and all have to hold; a comma means "or", a minus in front "not". `FIELDS` says what there is.
Everything here is pure; `now` and the names of keys are given.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from copilot_api.errors import BadRequest
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.models import Cause
from copilot_api.usage.rollups import DIMENSIONS

MAX_QUERY = 2000
"""The longest query, in characters."""
MAX_TERMS, MAX_VALUES = 30, 100
"""The most terms of a query, and values of a term: a database takes only so many comparisons at once."""


class Match(StrEnum):
    """How a condition compares."""

    IS = "is"
    CONTAINS = "contains"
    AT_LEAST = ">="
    MORE_THAN = ">"
    AT_MOST = "<="
    LESS_THAN = "<"
    IS_SET = "set"


Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that has to hold of an event: its field matches any of the values, or, negated, none."""

    column: str
    """The field of the event."""
    match: Match
    values: tuple[Value, ...]
    is_negated: bool = False

    @property
    def is_of_series(self) -> bool:
        """Whether rollups can tell: the field is a dimension."""
        return self.column in DIMENSIONS


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a query asks for."""

    conditions: tuple[Condition, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


class Kind(StrEnum):
    """How the value of a field is written."""

    EXACT = "exact"
    PART = "part"
    NUMBER = "number"
    SECONDS = "seconds"
    CREDITS = "credits"
    SWITCH = "switch"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Field:
    """A word of the grammar."""

    column: str
    kind: Kind
    help: str
    examples: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


FIELDS: dict[str, Field] = {
    "key": Field("key_id", Kind.EXACT, "the key, by id, label or visible prefix", ("key:ci",)),
    "model": Field("model", Kind.PART, "a part of the name that the caller used", ("model:opus",)),
    "upstream": Field("upstream_model", Kind.PART, "a part of the model's id at Copilot", ("upstream:gpt-5",)),
    "client": Field("client", Kind.EXACT, "the program that called", ("client:claude-code",)),
    "endpoint": Field("endpoint", Kind.PART, "a part of the endpoint's path", ("endpoint:messages",)),
    "status": Field("status", Kind.NUMBER, "the HTTP status; 4xx and 5xx are whole classes", ("status:>=400",)),
    "cause": Field("cause", Kind.EXACT, "how it ended", ("cause:upstream_cut",), tuple(each.value for each in Cause)),
    "kind": Field("kind", Kind.EXACT, "what the call was for", ("kind:compaction",)),
    "identity": Field("identity_id", Kind.EXACT, "whose GitHub credential was used", ("identity:default",)),
    "stream": Field("stream", Kind.SWITCH, "whether a stream was asked for", ("stream:yes",)),
    "initiator": Field("initiator", Kind.EXACT, "who began the turn", ("initiator:user",), ("user", "agent")),
    "effort": Field("effort", Kind.EXACT, "the reasoning effort that was asked for", ("effort:high",)),
    "unknown": Field("usage_unknown", Kind.SWITCH, "whether what it consumed is not known", ("unknown:yes",)),
    "limit": Field("would_limit", Kind.PART, "an observed limit that it would have met", ("limit:rpm",)),
    "fallback": Field("fallback_from", Kind.PART, "the model that a fallback stood in for", ("fallback:opus",)),
    "ttft": Field("time_to_first_token", Kind.SECONDS, "the time to the first token", ("ttft:>5s",)),
    "duration": Field("duration", Kind.SECONDS, "how long it took", ("duration:>2m",)),
    "queue": Field("queue_seconds", Kind.SECONDS, "how long it waited before it went upstream", ("queue:>500ms",)),
    "input": Field("input_tokens", Kind.NUMBER, "input tokens, cached ones too", ("input:>100k",)),
    "output": Field("output_tokens", Kind.NUMBER, "output tokens, reasoning too", ("output:>=4k",)),
    "cached": Field("cache_read_tokens", Kind.NUMBER, "input tokens out of the cache", ("cached:0",)),
    "reasoning": Field("reasoning_tokens", Kind.NUMBER, "output tokens that were reasoning", ("reasoning:>0",)),
    "credits": Field("nano_aiu", Kind.CREDITS, "AI credits", ("credits:>5",)),
    "id": Field("request_id", Kind.EXACT, "one call, by its request id", ("id:req_1a20dfc5e27…",)),
    "since": Field("at", Kind.TIME, "from when on: how long ago, or a time", ("since:2h", "since:2026-07-01")),
    "until": Field("at", Kind.TIME, "until when", ("until:2026-07-02T12:00Z",)),
}

FindKeys = Callable[[str], Sequence[str]]
"""The ids of the keys that go by a text: an id, a label, a visible prefix."""

_HINT = "write FIELD:VALUE with one of " + ", ".join(FIELDS)
_COMPARISONS = {
    ">=": Match.AT_LEAST,
    "<=": Match.AT_MOST,
    ">": Match.MORE_THAN,
    "<": Match.LESS_THAN,
}
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""A NUL, or half a character. Databases take neither, or take them for something else."""
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([a-z]*)")
_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SWITCHES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_MOST = 2**63 - 1
"""No field holds more, and no database can be asked for more."""


def parse_filter(text: str, now: datetime, find_keys: FindKeys = lambda text: [text]) -> EventFilter:
    """What a query asks for. Raises `BadRequest` that says which term is wrong, and what would be right."""
    if len(text) > MAX_QUERY:
        raise BadRequest(f"the query is longer than {MAX_QUERY} characters")
    if _NO_TEXT.search(text):
        raise BadRequest("the query has a character that is in no text")
    parsed = _Parsed(now, find_keys)
    terms = _split(text)
    if len(terms) > MAX_TERMS:
        raise BadRequest(f"the query has more than {MAX_TERMS} terms", hint="a comma means or: status:429,502")
    for term in terms:
        parsed.add(term)
    if parsed.since is not None and parsed.until is not None and parsed.since >= parsed.until:
        raise BadRequest("since is not before until")
    return EventFilter(tuple(parsed.conditions), parsed.since, parsed.until)


def _split(text: str) -> list[str]:
    words = shlex.shlex(text, posix=True, punctuation_chars="")
    words.whitespace_split = True
    words.commenters = words.escape = ""
    words.quotes = '"'
    try:
        return list(words)
    except ValueError:
        raise BadRequest("the query has a quotation mark without its pair") from None


@dataclass
class _Parsed:
    now: datetime
    find_keys: FindKeys
    conditions: list[Condition] = field(default_factory=list[Condition])
    since: datetime | None = None
    until: datetime | None = None

    def add(self, term: str) -> None:
        name, colon, value = term.removeprefix("-").partition(":")
        if not colon and name.startswith("req_"):
            name, value = "id", name
        elif not colon or name not in FIELDS:
            raise BadRequest(f"the query has no field for {term[:100]!r}", hint=_HINT)
        if not value:
            raise BadRequest(f"{name}: what is it to be?", hint=f"for example {FIELDS[name].examples[0]}")
        what, is_negated = FIELDS[name], term.startswith("-")
        if what.kind is Kind.TIME:
            self._add_time(name, value, is_negated=is_negated)
        else:
            self.conditions.append(self._parse(name, what, value, is_negated=is_negated))

    def _add_time(self, name: str, value: str, *, is_negated: bool) -> None:
        if is_negated:
            raise BadRequest(f"-{name}: a time cannot be excluded", hint="use since and until")
        at = parse_time(value, self.now)
        if name == "since":
            self.since = at if self.since is None else max(self.since, at)
        else:
            self.until = at if self.until is None else min(self.until, at)

    def _parse(self, name: str, what: Field, value: str, *, is_negated: bool) -> Condition:
        if value == "*":
            return Condition(what.column, Match.IS_SET, (), is_negated)
        if what.kind in {Kind.NUMBER, Kind.SECONDS, Kind.CREDITS}:
            return _parse_comparison(name, what, value, is_negated=is_negated)
        values = _split_values(name, what, value)
        if what.kind is Kind.SWITCH:
            return Condition(what.column, Match.IS, tuple(_switch(name, what, part) for part in values), is_negated)
        if what.choices and (unknown := next((part for part in values if part not in what.choices), None)):
            raise BadRequest(f"{name}: there is no {unknown[:100]!r}", hint=f"one of {', '.join(what.choices)}")
        if name == "key":
            values = [found for part in values for found in self.find_keys(part)]
        match = Match.CONTAINS if what.kind is Kind.PART else Match.IS
        return Condition(what.column, match, tuple(values), is_negated)


def _split_values(name: str, what: Field, value: str) -> list[str]:
    values = [part for part in value.split(",") if part]
    if not values:
        raise BadRequest(f"{name}: what is it to be?", hint=f"for example {what.examples[0]}")
    if len(values) > MAX_VALUES:
        raise BadRequest(f"{name}: more than {MAX_VALUES} values", hint="ask for some of them at a time")
    return values


def _switch(name: str, what: Field, value: str) -> bool:
    if value.lower() not in _SWITCHES:
        raise BadRequest(f"{name}: yes or no, not {value[:100]!r}", hint=f"for example {what.examples[0]}")
    return _SWITCHES[value.lower()]


def _parse_comparison(name: str, what: Field, value: str, *, is_negated: bool) -> Condition:
    sign = next((sign for sign in _COMPARISONS if value.startswith(sign)), "")
    if sign:
        bound = _parse_number(name, what, value.removeprefix(sign))
        return Condition(what.column, _COMPARISONS[sign], (bound,), is_negated)
    numbers: list[int | float] = []
    for text in _split_values(name, what, value):
        if name == "status" and re.fullmatch(r"[1-5]xx", text):
            numbers += range(int(text[0]) * 100, int(text[0]) * 100 + 100)
        else:
            numbers.append(_parse_number(name, what, text))
    return Condition(what.column, Match.IS, tuple(dict.fromkeys(numbers)), is_negated)


def _parse_number(name: str, what: Field, text: str) -> int | float:
    scales = _SECONDS if what.kind is Kind.SECONDS else _SCALES
    parsed = _NUMBER.fullmatch(text.lower())
    if parsed is None or parsed[2] not in scales:
        units = ", ".join(filter(None, scales))
        raise BadRequest(
            f"{name}: {text[:100]!r} is no number", hint=f"for example {what.examples[0]}; the units are {units}"
        )
    number = float(parsed[1]) * scales[parsed[2]]
    if what.kind is Kind.SECONDS:
        return number
    return round(min(number * NANO_PER_CREDIT if what.kind is Kind.CREDITS else number, _MOST))


def parse_time(text: str, now: datetime) -> datetime:
    """How long ago (`2h`), or a time in ISO 8601, in UTC where it does not say. Raises `BadRequest`."""
    try:
        if parsed := re.fullmatch(r"(\d{1,9})([smhdw])", text):
            return now - timedelta(seconds=int(parsed[1]) * _AGES[parsed[2]])
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"{text[:100]!r} is no time",
            hint="how long ago, such as 30m, 2h or 7d, or a time such as 2026-07-01T12:00Z",
        ) from None
