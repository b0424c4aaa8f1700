"""
Metrics as text for Prometheus, made when somebody asks.

The text is the library's, in the classic form or OpenMetrics, as the scraper accepts. It is made piece by piece, so
that the event loop can go on with calls in between: all of it may be a megabyte.
"""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

MAX_SAMPLES = 100
"""Lines in a piece, which take about half a millisecond."""
_VERSIONS = {"0.0.1", "0.0.4", "1.0.0", "2.0.0"}
"""Those of both forms. The library fails on some texts that are none."""


def render_metrics(collector: Collector, accept: str) -> tuple[str, Iterator[bytes]]:
    """The media type that suits an `Accept` header, whatever that says, and the text in pieces."""
    encode, media_type = choose_encoder(_known_ranges(accept))
    return media_type, _render_pieces(collector, encode)


def _render_pieces(collector: Collector, encode: Callable[[Collector], bytes]) -> Iterator[bytes]:
    end = encode(_Given())
    for family in collector.collect():
        samples, family.samples = family.samples, []
        head = encode(_Given(family)).removesuffix(end)
        yield head
        for start in range(0, len(samples), MAX_SAMPLES):
            family.samples = samples[start : start + MAX_SAMPLES]
            yield encode(_Given(family)).removeprefix(head).removesuffix(end)
    yield end


class _Given:
    """A collector of what it is given."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _known_ranges(accept: str) -> str:
    """What of an `Accept` header asks for versions that exist."""
    ranges: list[str] = []
    for each in accept.split(","):
        parameters = [parameter.partition("=") for parameter in each.split(";")]
        versions = {value.strip() for name, _, value in parameters if name.strip() == "version"}
        if versions <= _VERSIONS:
            ranges.append(each)
    return ",".join(ranges)
