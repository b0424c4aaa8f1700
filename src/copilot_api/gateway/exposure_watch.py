"""Aliases that lose their model, and get it back: the catalog changes without asking, and so does config.json."""

from copilot_api.config.settings import Exposure
from copilot_api.gateway.plan import broken_aliases
from copilot_api.observability.events import AliasBroken, AliasRecovered, Observer
from copilot_api.upstream.catalog import Catalog

_MAX_NAMES = 10


class ExposureWatch:
    """Is told catalogs and exposures as they come, and reports each alias once when it breaks, once when it is back."""

    def __init__(self, exposure: Exposure, observe: Observer) -> None:
        self._exposure = exposure
        self._observe = observe
        self._catalog: Catalog | None = None
        self._broken: dict[str, str] = {}

    @property
    def reason(self) -> str | None:
        """Which aliases have no model now; None when every one has, or no catalog is known yet."""
        if not self._broken:
            return None
        return render_broken(self._broken)

    def expose(self, exposure: Exposure) -> None:
        """From now on these are the aliases."""
        self._exposure = exposure
        self._look()

    def read(self, catalog: Catalog) -> None:
        """From now on these are the models."""
        self._catalog = catalog
        self._look()

    def _look(self) -> None:
        if self._catalog is None:
            return
        aliases = self._exposure.aliases
        before, self._broken = (
            self._broken,
            {name: aliases[name].upstream for name in broken_aliases(self._exposure, self._catalog)},
        )
        for name, upstream in self._broken.items():
            if before.get(name) != upstream:
                self._observe(AliasBroken(name, upstream))
        for name in before.keys() - self._broken.keys():
            # One that was taken out of the configuration, or switched off, is not back.
            if name in aliases and aliases[name].is_enabled:
                self._observe(AliasRecovered(name, aliases[name].upstream))


def render_broken(broken: dict[str, str]) -> str:
    """Aliases without a model, by name, with the model that each of them names; of many the first few."""
    names = [f"{name} ({upstream})" for name, upstream in broken.items()]
    more = len(names) - _MAX_NAMES
    return f"aliases without a model: {', '.join(names[:_MAX_NAMES])}" + (f" and {more} more" if more > 0 else "")
