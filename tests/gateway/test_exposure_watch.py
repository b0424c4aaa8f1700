"""An alias that loses its model is reported once, and once when it has it back."""

from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.gateway.exposure_watch import ExposureWatch
from copilot_api.observability.events import AliasBroken, AliasRecovered, Observation
from copilot_api.upstream.catalog import Catalog
from tests.gateway.calls import make_model


def catalog(*names: str) -> Catalog:
    return Catalog([make_model(name) for name in names])


def exposure(**aliases: str) -> Exposure:
    return Exposure({name: ModelAlias(upstream) for name, upstream in aliases.items()})


class Watched:
    """A watch, and what it reported since it was asked last."""

    def __init__(self, exposed: Exposure) -> None:
        self._observed: list[Observation] = []
        self.watch = ExposureWatch(exposed, self._observed.append)

    def told(self) -> list[Observation]:
        told, self._observed[:] = list(self._observed), []
        return told


def test_before_the_first_catalog_nothing_is_said_to_be_broken() -> None:
    watched = Watched(exposure(fast="gpt-9"))
    watched.watch.expose(exposure(fast="gpt-8"))
    assert watched.watch.reason is None
    assert watched.told() == []


def test_an_alias_is_reported_once_when_it_breaks_and_once_when_it_is_back() -> None:
    watched = Watched(exposure(fast="gpt-9", good="gpt-5"))
    watched.watch.read(catalog("gpt-9", "gpt-5"))
    assert watched.told() == []
    for _ in range(3):
        watched.watch.read(catalog("gpt-5"))
    assert watched.told() == [AliasBroken("fast", "gpt-9")]
    assert watched.watch.reason == "aliases without a model: fast (gpt-9)"
    for _ in range(3):
        watched.watch.read(catalog("gpt-5", "gpt-9"))
    assert watched.told() == [AliasRecovered("fast", "gpt-9")]
    assert watched.watch.reason is None


def test_a_configuration_breaks_and_mends_aliases_too() -> None:
    watched = Watched(exposure())
    watched.watch.read(catalog("gpt-5"))
    watched.watch.expose(exposure(fast="gpt-9"))
    assert watched.told() == [AliasBroken("fast", "gpt-9")]
    watched.watch.expose(exposure(fast="gpt-8"))
    assert watched.told() == [AliasBroken("fast", "gpt-8")]
    watched.watch.expose(Exposure({"fast": ModelAlias("gpt-8", fallback=("gpt-5",))}))
    assert watched.told() == [AliasRecovered("fast", "gpt-8")]


def test_an_alias_that_was_taken_out_or_switched_off_is_neither_broken_nor_back() -> None:
    for after in (exposure(), Exposure({"fast": ModelAlias("gpt-9", is_enabled=False)})):
        watched = Watched(exposure(fast="gpt-9"))
        watched.watch.read(catalog("gpt-5"))
        assert watched.told() == [AliasBroken("fast", "gpt-9")]
        watched.watch.expose(after)
        assert watched.told() == []
        assert watched.watch.reason is None


def test_of_many_broken_aliases_the_first_are_named() -> None:
    watched = Watched(exposure(**{f"a{number}": "gpt-9" for number in range(200)}))
    watched.watch.read(catalog())
    reason = watched.watch.reason
    assert reason is not None
    assert reason.startswith("aliases without a model: a0 (gpt-9), a1 (gpt-9), ")
    assert reason.endswith(" and 190 more")
