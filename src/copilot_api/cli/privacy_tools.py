"""The privacy tools over what is stored in the data directory, beside whatever gateways run on it."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from copilot_api.capture.files import TraceFiles
from copilot_api.capture.models import Trace
from copilot_api.capture.queries import MAX_LIMIT
from copilot_api.cli.stores import Stores
from copilot_api.cli.trace_client import GatewayGone, Link, Refused, ask, find_links, opened, trace_path
from copilot_api.config.store import ConfigStore
from copilot_api.privacy.erasing import Eraser
from copilot_api.privacy.exporting import Exporter
from copilot_api.privacy.subjects import Subjects
from copilot_api.privacy.tools import PrivacyTools
from copilot_api.storage.privacy import SqlPrivacyRepository

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class LocalGateways:
    """The gateways that answer at the sockets in the data directory. See `Gateways`."""

    directory: Path

    def count(self) -> int:
        """See `Gateways`."""
        return len(find_links(self.directory))

    def count_traces(self, key_id: str, without: set[str]) -> int | None:
        """See `Gateways`."""
        try:
            return sum(request_id not in without for _, request_id in self._list(key_id))
        except (GatewayGone, Refused):
            return None

    def list_traces(self, key_id: str, without: set[str]) -> Iterator[Trace]:
        """See `Gateways`."""
        for link, request_id in self._list(key_id):
            if request_id in without:
                continue
            try:
                with opened(link, "GET", trace_path(request_id)) as response:
                    yield msgspec.json.decode(response.read(), type=Trace)
            except Refused as error:
                if error.status != _NOT_FOUND:  # newer ones needed the room meanwhile
                    raise

    def _list(self, key_id: str) -> Iterator[tuple[Link, str]]:
        for link in find_links(self.directory):
            before: int | None = None
            while True:
                query: dict[str, str | int] = {"key": key_id, "limit": MAX_LIMIT}
                if before is not None:
                    query["before"] = before
                page = ask(link, "GET", f"/admin/api/traces?{urlencode(query)}")
                yield from ((link, str(trace["request_id"])) for trace in page["traces"])
                before = page["next"]
                if before is None:
                    break


def make_privacy_tools(stores: Stores, *, tell: Callable[[str], None] = lambda _: None) -> PrivacyTools:
    """The tools; `tell` is told what an erasure is doing."""
    directory, audit = stores.directory, stores.audit
    repository = SqlPrivacyRepository(stores.database, audit)
    subjects = Subjects(stores.keys, repository, audit)
    config = ConfigStore(directory.config, directory.config_history, stores.clock)
    traces, gateways = TraceFiles(directory.traces), LocalGateways(directory.path)
    exporter = Exporter(repository, subjects, stores.usage, directory, audit, config, traces, gateways, stores.clock)
    eraser = Eraser(
        repository,
        subjects,
        stores.usage,
        directory,
        audit,
        config,
        traces,
        gateways,
        stores.clock,
        time.sleep,
        process_name=f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(3)}",
        tell=tell,
    )
    return PrivacyTools(subjects, exporter, eraser)
