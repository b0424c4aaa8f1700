"""The gateways that run on the data directory, as far as the privacy tools need them: what they hold in memory."""

from collections.abc import Iterator
from typing import Protocol

from copilot_api.capture.models import Trace


class Gateways(Protocol):
    """The gateways that can be asked. Blocks."""

    def count(self) -> int:
        """How many there are."""
        ...

    def count_traces(self, key_id: str, without: set[str]) -> int | None:
        """How many captures of a key they have, but for those of the calls `without`; None where one does not say."""
        ...

    def list_traces(self, key_id: str, without: set[str]) -> Iterator[Trace]:
        """The captures themselves."""
        ...
