"""What a call used and what that costs, as the upstream's `copilot_usage` says it."""

from dataclasses import dataclass

from copilot_api.simulator.catalog import Model
from copilot_api.simulator.wire import Json, object_at

_BATCH_SIZE = 1_000_000
NANO_PER_CREDIT = 1_000_000_000

# AI credits a million tokens: input, cache read, cache write, output.
_LIST_PRICES: tuple[tuple[str, tuple[float, float, float, float]], ...] = (
    ("claude-opus", (500, 50, 625, 2500)),
    ("claude-sonnet", (300, 30, 375, 1500)),
    ("claude-haiku", (100, 10, 125, 500)),
    ("gpt-5", (175, 17.5, 0, 1400)),
    ("gemini", (125, 12.5, 0, 1000)),
    ("grok", (20, 2, 0, 150)),
)
_FREE = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one call used; `input` includes what was read from and written to the cache."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def fresh(self) -> int:
        """Input that the cache had no part in."""
        return self.input - self.cache_read - self.cache_write


def render_copilot_usage(model: Model, tokens: Tokens) -> Json:
    """The bill of one call: all four kinds, also those that are zero."""
    costs = [round(price * NANO_PER_CREDIT) for price in _prices(model)]
    counts = (tokens.fresh, tokens.cache_read, tokens.cache_write, tokens.output)
    kinds = ("input", "cache_read", "cache_write", "output")
    details = [
        {"batch_size": _BATCH_SIZE, "cost_per_batch": cost, "token_count": count, "token_type": kind}
        for cost, count, kind in zip(costs, counts, kinds, strict=True)
    ]
    total = sum(cost * count for cost, count in zip(costs, counts, strict=True)) // _BATCH_SIZE
    return {"token_details": details, "total_nano_aiu": total}


def _prices(model: Model) -> tuple[float, float, float, float]:
    if model.multiplier == 0:
        return _FREE
    listed = object_at(object_at(object_at(model.entry, "billing"), "token_prices"), "default")
    if listed:
        return (listed["input_price"], listed["cache_price"], listed["cache_write_price"], listed["output_price"])
    return next((prices for prefix, prices in _LIST_PRICES if model.id.startswith(prefix)), _FREE)
