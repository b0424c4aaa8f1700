"""
What calls cost in AI credits, for budgets that are reserved before a call and for answers that do not say.

Copilot reports its charge with each answer (`copilot_usage.total_nano_aiu`; 1e9 of it are one credit) and, of some
models, its prices in the catalog. Where a model has no price there, the charges that were seen tell it.
"""

from dataclasses import dataclass
from typing import Any

from copilot_api.protocols.base import Usage
from copilot_api.protocols.untyped import object_of

NANO_PER_CREDIT = 1_000_000_000
_DEFAULT_BATCH = 1_000_000
# Vendors' prices stand in about these proportions to one another, whatever the model.
_CACHE_READ, _CACHE_WRITE, _OUTPUT = 0.1, 1.25, 5.0
_UNKNOWN_INPUT_PRICE = 300.0
"""Credits a million tokens, for a model of which nothing is known yet: that of a middling one."""
_MOST = 1e12
"""Numbers beyond are mistakes, and no floating point carries their products."""
_MEMORY = 0.2
"""How much the newest charge counts against all before it."""


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """Prices in nano-AIU for one token. Above `context_max` tokens of input another set may hold."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    context_max: int | None = None
    long_context: "TokenPrices | None" = None

    def charge(self, usage: Usage) -> int:
        """What a call that consumed `usage` costs."""
        prices = self._prices_for(usage.input_tokens)
        fresh = max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens)
        return round(
            fresh * prices.input
            + usage.cache_read_tokens * prices.cache_read
            + usage.cache_write_tokens * prices.cache_write
            + usage.output_tokens * prices.output
        )

    def least(self, input_tokens: int) -> int:
        """What so many tokens of input cost at least: all of them may come from the prompt cache."""
        prices = self._prices_for(input_tokens)
        return round(input_tokens * min(prices.input, prices.cache_read))

    def estimate(self, input_tokens: int, output_tokens: int) -> int:
        """The same for so many tokens of which none is cached."""
        prices = self._prices_for(input_tokens)
        return round(input_tokens * prices.input + output_tokens * prices.output)

    def _prices_for(self, input_tokens: int) -> "TokenPrices":
        is_long = self.context_max is not None and input_tokens > self.context_max
        return self.long_context if is_long and self.long_context is not None else self


def parse_prices(raw: object) -> TokenPrices | None:
    """`billing.token_prices` of a catalog entry (protocol reference, 6); None where there is none, or none to read."""
    prices = object_of(raw)
    batch = _number(prices.get("batch_size")) or _DEFAULT_BATCH
    long_context = _parse_set(object_of(prices.get("long_context")), batch, None)
    return _parse_set(object_of(prices.get("default")), batch, long_context)


def _parse_set(fields: dict[str, Any], batch: float, long_context: TokenPrices | None) -> TokenPrices | None:
    per_input = _number(fields.get("input_price"))
    per_output = _number(fields.get("output_price"))
    if per_input is None or per_output is None:
        return None
    read = _first_number(fields, "cache_read_price", "cache_price")
    write = _number(fields.get("cache_write_price"))
    most = _first_number(fields, "max_prompt_tokens", "context_max")
    scale = NANO_PER_CREDIT / batch
    return TokenPrices(
        input=per_input * scale,
        output=per_output * scale,
        cache_read=(per_input if read is None else read) * scale,
        cache_write=(per_input if write is None else write) * scale,
        context_max=None if most is None else int(most),
        long_context=long_context,
    )


def _first_number(fields: dict[str, Any], *names: str) -> float | None:
    """Of a field that was renamed: under its new name, else under the old one."""
    return next((number for name in names if (number := _number(fields.get(name))) is not None), None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return float(value)


class Tariff:
    """Prices as far as they are known: those of the catalog, else what the charges so far came to."""

    def __init__(self) -> None:
        self._learned: dict[str, TokenPrices] = {}

    def find(self, model: str, prices: TokenPrices | None) -> TokenPrices | None:
        """The prices of a model; None while nothing is known."""
        return prices or self._learned.get(model)

    def charge(self, model: str, prices: TokenPrices | None, usage: Usage) -> int | None:
        """What `usage` costs in nano-AIU, where Copilot did not say; None where it cannot be told."""
        known = self.find(model, prices)
        return None if known is None else known.charge(usage)

    def learn(self, model: str, usage: Usage, nano_aiu: int) -> None:
        """Copilot charged so much for `usage`."""
        weighed = _WEIGHTS.charge(usage) / _DEFAULT_BATCH
        if weighed <= 0 or not 0 <= nano_aiu <= _MOST * NANO_PER_CREDIT:
            return  # whatever that is, it is no price
        price, known = nano_aiu / weighed, self._learned.get(model)
        if known is not None:
            price = known.input + (price - known.input) * _MEMORY
        self._learned[model] = _unit_prices(price)


def _unit_prices(price: float) -> TokenPrices:
    return TokenPrices(price, price * _OUTPUT, price * _CACHE_READ, price * _CACHE_WRITE)


_WEIGHTS = _unit_prices(float(_DEFAULT_BATCH))
"""A charge is a whole number: so that those of short calls are told apart, it is one of millionths."""
UNKNOWN_PRICES = _unit_prices(_UNKNOWN_INPUT_PRICE * NANO_PER_CREDIT / _DEFAULT_BATCH)
"""What is set aside for a call of a model of which nothing is known."""
