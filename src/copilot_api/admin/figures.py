"""Numbers as people read them: short in tiles, exact in tables and titles."""

import math
from collections.abc import Sequence

MISSING = "\u2013"
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
_NARROW_SPACE = "\u202f"

Number = int | float


def short(value: Number | None) -> str:
    """Three digits and a letter: `1.23 M`, `12.3 k`, `999`, `0.042`."""
    value = _known(value)
    if value is None:
        return MISSING
    for step, letter in _STEPS:
        if round_significant(abs(value)) >= step:
            return f"{_three_digits(value / step)}{_NARROW_SPACE}{letter}"
    return _three_digits(value)


def exact(value: Number | None, decimals: int | None = None) -> str:
    """All of it, with commas: `1,234,567`, `0.0042`. With `decimals`, always so many."""
    value = _known(value)
    if value is None:
        return MISSING
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    whole, _, fraction = f"{value:,.6f}".partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def percent(share: Number | None) -> str:
    """A share of one: `0 %`, `0.4 %`, `42 %`. What is not quite all is never called 100 %, nor is something nothing."""
    known = _known(share)
    if known is None:
        return MISSING
    value = known * 100
    if 0 < abs(value) < 0.05:
        text = "<0.1" if value > 0 else ">-0.1"
    elif 99.95 <= value < 100:
        text = ">99.9"
    elif (abs(value) < 10 and not float(value).is_integer()) or 99.5 <= value < 100:
        text = f"{value:.1f}"
    else:
        text = f"{value:,.0f}"
    return f"{text}{_NARROW_SPACE}%"


def seconds(value: Number | None) -> str:
    """A time that something took: `430 ms`, `1.24 s`, `2 m 5 s`, `3 h 10 m`, `4 d 2 h`."""
    value = _known(value)
    if value is None:
        return MISSING
    if value < 0:
        return f"-{seconds(-value)}"
    if value < 0.9995:
        return f"{_three_digits(value * 1000) if value < 0.01 else round(value * 1000)} ms"
    if value < 59.95:
        return f"{_three_digits(value)} s"
    whole = round(value)
    for unit, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name} {rest} {smaller_name}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def size(value: int | None) -> str:
    """Bytes: `999 B`, `1.5 KiB`, `20 MiB`."""
    if value is None:
        return MISSING
    for step, name in _BYTES:
        if abs(value) >= step:
            return f"{_three_digits(value / step)} {name}"
    return f"{value} B"


def change(now: Number | None, before: Number | None) -> float | None:
    """By what share of `before` it changed; None where that has no meaning."""
    after, base = _known(now), _known(before)
    if after is None or not base:
        return None
    return (after - base) / abs(base)


def round_significant(value: Number, digits: int = 3) -> float:
    """`value` with so many digits that count."""
    return float(f"{value:.{digits}g}")


def spark_points(values: Sequence[Number | None], width: int = 100, height: int = 24) -> str:
    """The `points` of a polyline, zero at the bottom. Gaps count as zero; empty for fewer than two."""
    if len(values) < 2:
        return ""
    known = [float(_known(value) or 0) for value in values]
    low, high = min(0.0, *known), max(known)
    span = (high - low) or 1.0
    step = width / (len(known) - 1)
    pad = 1.5
    tall = height - 2 * pad
    return " ".join(
        f"{index * step:.2f},{height - pad - (value - low) / span * tall:.2f}" for index, value in enumerate(known)
    )


def share(part: Number | None, whole: Number | None) -> float:
    """`part` of `whole` as a width, 0 to 1; 0 where there is none."""
    known, all_of_it = _known(part), _known(whole)
    if known is None or all_of_it is None or all_of_it <= 0:
        return 0.0
    return min(1.0, max(0.0, known / all_of_it))


def _three_digits(value: Number) -> str:
    rounded = round_significant(value)
    if abs(rounded) >= 100 or rounded == 0:
        return f"{rounded:.0f}"
    decimals = 2 - math.floor(math.log10(abs(rounded)))
    text = f"{rounded:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _known(value: Number | None) -> Number | None:
    """`value`, if it is a number that can be written."""
    return value if value is not None and math.isfinite(value) else None
