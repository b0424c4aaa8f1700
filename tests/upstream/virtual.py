"""An event loop whose time passes as soon as everybody waits for it, and a clock that shows it."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeps take no time; `time()` says how long they would have been."""

    def __init__(self) -> None:
        self._now = 1_000.0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class _Impatient(selectors.BaseSelector):
    """Lets the loop's time jump where a selector would block."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0 if timeout is not None else None)
        if not ready and timeout:
            self._loop.advance(timeout)
        return ready

    def register(self, fileobj: Any, events: int, data: object = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: object = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualClock:
    """The loop's time as a `Clock`."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._began = loop.time()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time() - self._began)

    def monotonic(self) -> float:
        return self._loop.time()


def run_virtually(test: Callable[[VirtualClock], Awaitable[T]]) -> T:
    """Run `test` in such a loop, with its clock."""

    async def main() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return await test(VirtualClock(loop))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
