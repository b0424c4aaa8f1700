"""Where commands find captures: in the gateways that run, else in the files that gateways left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import click
import msgspec

from copilot_api.api.trace_parameters import parse_status
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.capture.files import TraceFiles
from copilot_api.capture.models import TraceSummary
from copilot_api.capture.queries import MAX_LIMIT, TraceQuery
from copilot_api.cli.options import option
from copilot_api.cli.stores import local_actor, open_stores
from copilot_api.cli.trace_client import Link, Refused, ask, find_links, trace_path, url_link
from copilot_api.clock import SystemClock
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory

T = TypeVar("T")

_NOT_FOUND = 404
_NO_GATEWAY = "no gateway runs on this data directory"


def url_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flag --url, for a gateway elsewhere."""
    return option("--url", metavar="URL", help="Ask the gateway there, with the admin key in COPILOT_API_KEY.")(
        function
    )


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which captures, as it is typed."""

    key: str = ""
    model: str = ""
    status: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    def parameters(self) -> dict[str, str]:
        """As the API takes it."""
        times = {name: at.isoformat() for name, at in (("since", self.since), ("until", self.until)) if at is not None}
        given = {"key": self.key, "model": self.model, "status": self.status, "q": self.text}
        return times | {name: value for name, value in given.items() if value}


class Sources:
    """The gateways there are, or the files."""

    def __init__(self, links: list[Link], directory: DataDirectory) -> None:
        self._links = links
        self._directory = directory
        self._files = TraceFiles(directory.traces)

    def links_or_refuse(self) -> list[Link]:
        """The gateways, for what only those can do."""
        if not self._links:
            raise click.ClickException(f"{_NO_GATEWAY}: {self._directory.path}")
        return self._links

    def list_summaries(self, wanted: TraceFilter, limit: int) -> list[TraceSummary]:
        """Captures, newest first: of every gateway, each once."""
        if not self._links:
            click.echo(f"{_NO_GATEWAY}: this is what lies in files", err=True)
            self._sign(Action.TRACES_LISTED, "traces", dict(wanted.parameters()))
            return self._list_files(wanted, limit)
        found: dict[str, TraceSummary] = {}
        for link in self._links:
            for summary in _list_pages(link, wanted, limit):
                found.setdefault(summary.request_id, summary)
        return sorted(found.values(), key=lambda summary: (summary.at, summary.number), reverse=True)[:limit]

    def get(self, request_id: str) -> Any:
        """One capture, as JSON has it."""
        if self._links:
            return self.first(lambda link: ask(link, "GET", trace_path(request_id)))
        trace = self._files.find(request_id)
        if trace is None:
            raise click.ClickException(f"{_NO_GATEWAY}, and there is no such capture in files: {request_id[:100]!a}")
        self._sign(Action.TRACE_READ, request_id, {"key_id": trace.key_id})
        return msgspec.to_builtins(trace)

    def first(self, request: Callable[[Link], T]) -> T:
        """What the first gateway answers that knows the capture. Raises the last one's refusal."""
        links = self.links_or_refuse()
        for link in links[:-1]:
            try:
                return request(link)
            except Refused as refusal:
                if refusal.status != _NOT_FOUND:
                    raise
        return request(links[-1])

    def _list_files(self, wanted: TraceFilter, limit: int) -> list[TraceSummary]:
        least, most = parse_status(wanted.status)
        query = TraceQuery(
            key_id=_find_key(wanted.key) if wanted.key else None,
            model=wanted.model or None,
            min_status=least,
            max_status=most,
            since=wanted.since,
            until=wanted.until,
            text=wanted.text,
        )
        found: list[TraceSummary] = []
        for summary in self._files.iter_summaries(None):
            if query.matches(summary):
                found.append(summary)
            if len(found) == limit:
                break
        return found

    def _sign(self, action: Action, target: str, detail: dict[str, object]) -> None:
        """Who reads captures is on record, also where it is by their files."""
        AuditLog(self._directory.audit, SystemClock()).append(AuditEvent(local_actor(), action, target, detail))


def open_sources(url: str | None) -> Sources:
    """The gateway at `url`, else those of this data directory, else its files."""
    variables = environment()
    directory = DataDirectory.locate(variables)
    if url is not None:
        return Sources([url_link(url, variables.get("COPILOT_API_KEY", ""))], directory)
    directory.prepare()
    return Sources(find_links(directory.path), directory)


def _list_pages(link: Link, wanted: TraceFilter, limit: int) -> Iterator[TraceSummary]:
    left, place = limit, dict[str, str]()
    while left > 0:
        parameters = {**wanted.parameters(), "limit": str(min(left, MAX_LIMIT)), **place}
        page = ask(link, "GET", f"/admin/api/traces?{urlencode(parameters)}")
        summaries = msgspec.convert(page["traces"], list[TraceSummary])
        yield from summaries
        left -= len(summaries)
        if page["next"] is None:
            return
        place = {"before": str(page["next"])}


def _find_key(text: str) -> str:
    """The id of a key; one that is no more may still have captures."""
    with open_stores() as stores:
        keys = [key.id for key in stores.keys.list_keys() if text in {key.id, key.label, key.prefix}]
    if len(keys) > 1:
        raise click.UsageError(f"--key-id: several keys are called so: {', '.join(keys)}")
    return keys[0] if keys else text
