"""One accepted model call, with everything an answer is rendered from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from copilot_api.simulator.answers import Answer
from copilot_api.simulator.catalog import Model
from copilot_api.simulator.ids import Ids
from copilot_api.simulator.wire import Frame, Json


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A call that passed every check."""

    body: Json
    model: Model
    answer: Answer
    shape: str | None
    """A fault that changes what is said rather than how it travels, by its name."""
    created: int
    ids: Ids
    backend: str


class Renderer(Protocol):
    """One protocol's way of saying an answer."""

    def whole(self, call: ModelCall) -> Json:
        """The answer in one piece."""
        ...

    def stream(self, call: ModelCall) -> Iterator[Frame]:
        """The answer as events, in order."""
        ...
