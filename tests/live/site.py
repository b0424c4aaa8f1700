"""A gateway whose `config.json` changes while it runs."""

import json
import time
from pathlib import Path
from typing import Any

from copilot_api.config.store import hash_of
from tests.limits.rig import Rig

LIVE_SECONDS = 1.0
"""How soon a change has to be in force."""


class Site(Rig):
    """See the module."""

    @property
    def config(self) -> Path:
        return self.home / "config.json"

    def rename(self, content: bytes | str) -> float:
        """Replace the file as editors do; the moment of the rename."""
        fresh = self.config.with_name(".config.json.new")
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)
        fresh.replace(self.config)
        return time.monotonic()

    def put(self, document: dict[str, Any]) -> float:
        """The same, and wait until it is in force; the seconds that it took."""
        self.gateway.lines.clear()
        content = json.dumps(document, indent=1)
        if content == (self.config.read_text() if self.config.exists() else ""):
            return 0.0
        renamed_at, mark = self.rename(content), hash_of(content.encode())[:12]
        while not any("the new configuration is in force" in line and mark in line for line in self.gateway.lines):
            if time.monotonic() - renamed_at > 5:
                raise AssertionError(f"it is not in force: {self.gateway.output}")
            time.sleep(0.002)
        return time.monotonic() - renamed_at

    def reported(self, mark: str = "config.json cannot be used") -> int:
        """How often a line of the log says so."""
        return sum(mark in line for line in self.gateway.lines)
