"""`POST /admin/api/audit/verify`: proof that the audit log is whole. One at a time, in a thread of its own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from copilot_api.api.admin_endpoint import Asked
from copilot_api.api.operations.traces import Expectation
from copilot_api.audit.lines import Link, parse_link
from copilot_api.audit.verify import Verdict, describe_verdict, verify
from copilot_api.errors import BadRequest, StorageUnavailable


class AuditVerifier:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit-verify")

    async def verify(self, asked: Asked) -> dict[str, Any]:
        """What `check` finds, for programs."""
        wish: Expectation = asked.body
        expected = None if wish.expect is None else parse_link(wish.expect.strip())
        if wish.expect is not None and expected is None:
            raise BadRequest("expect: this is no head", param="expect", hint='write it as it was given: "12:9f2c…"')
        return describe_verdict(await self.check(expected))

    async def check(self, expected: Link | None) -> Verdict:
        """Look at the whole log; one line of it may be expected. Raises `StorageUnavailable`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._look, expected)

    def _look(self, expected: Link | None) -> Verdict:
        try:
            return verify(self._path, expected)
        except OSError as error:
            raise StorageUnavailable(f"the audit log cannot be read: {error}") from error
