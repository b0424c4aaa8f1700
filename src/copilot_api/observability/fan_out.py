"""One observation for everybody who wants to know: the log, the metrics, and whoever else listens."""

import traceback
from contextlib import suppress

from copilot_api.observability.events import Observation, Observer, ObserverFailed


class FanOut:
    """
    An `Observer` that tells others, in their order. What goes wrong in one of them keeps neither the others from
    hearing nor the call from going on; the others are told of it once.
    """

    def __init__(self, observers: tuple[Observer, ...]) -> None:
        self._observers = observers
        self._failed: list[Observer] = []

    def __call__(self, observation: Observation) -> None:
        """Tell everybody."""
        for observer in self._observers:
            try:
                observer(observation)
            except Exception:  # noqa: BLE001 -- whatever it is, it is no reason to fail a call
                self._report(observer, traceback.format_exc())

    def _report(self, failed: Observer, trace: str) -> None:
        if failed in self._failed:
            return
        self._failed.append(failed)
        name = getattr(failed, "__name__", type(failed).__name__)
        for observer in self._observers:
            if observer is not failed:
                with suppress(Exception):
                    observer(ObserverFailed(name, trace))
