"""
Histograms of durations that can be added up: how long calls took, from any number of sums.

The buckets are those of OpenTelemetry's exponential histogram of scale 2: each is 2^(1/4) times as wide as the one
before it, so a percentile is off by 9 % as a rule and by 19 % at the most. They reach from one millisecond to 68
minutes; what is beyond counts in the outermost ones.
https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram

In memory a histogram is one integer with 40 bits for each bucket: to add two of them up is one addition, which matters
where there are thousands.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator

SCALE = 4
"""Buckets for each doubling."""
FIRST_EXPONENT = -40
"""The first bucket holds what takes at most 2^(-40/4) seconds, which is about a millisecond."""
BUCKETS = 89
FIELD_BITS = 40
_MASK = (1 << FIELD_BITS) - 1
_SPARSE, _DENSE = 0, 1
_MOST_PAIR_BYTES = 32
"""Longer ones are stored as they are in memory: that takes more room, and is read at once."""

EMPTY = 0
"""The histogram of nothing."""

_BOUNDS = tuple(math.pow(2.0, (FIRST_EXPONENT + index) / SCALE) for index in range(BUCKETS - 1))
"""The upper bounds of all buckets but the last, which has none. What is as long as the bound is in."""
_ONES = tuple(1 << FIELD_BITS * index for index in range(BUCKETS))
_STORED_ONES = {EMPTY: b"", **{one: bytes([_SPARSE, index, 1]) for index, one in enumerate(_ONES)}}
"""As `encode` has them, which most rollups ask for: they count one call."""


def bucket_of(seconds: float) -> int:
    """The bucket that counts a duration."""
    return bisect_left(_BOUNDS, seconds)


def one(seconds: float) -> int:
    """The histogram of one duration; sums of histograms are histograms."""
    return _ONES[bisect_left(_BOUNDS, seconds)]


def count(histogram: int) -> int:
    """How many durations it holds."""
    return sum(number for _, number in list_buckets(histogram))


def list_buckets(histogram: int) -> Iterator[tuple[int, int]]:
    """The buckets that are not empty, with what they count."""
    while histogram:
        index = ((histogram & -histogram).bit_length() - 1) // FIELD_BITS
        number = histogram >> index * FIELD_BITS & _MASK
        yield index, number
        histogram ^= number << index * FIELD_BITS


def subtract(histogram: int, part: int) -> int:
    """What is left without `part`; never less than nothing in any bucket."""
    for index, number in list_buckets(part):
        there = histogram >> index * FIELD_BITS & _MASK
        histogram -= min(number, there) << index * FIELD_BITS
    return histogram


def upper_bound(bucket: int) -> float:
    """The longest duration, in seconds, that a bucket counts; infinite for the last."""
    return _BOUNDS[bucket] if bucket < len(_BOUNDS) else math.inf


def percentile(histogram: int, share: float) -> float | None:
    """
    How long, in seconds, at most the fastest `share` (0 to 1) of the durations took; None of nothing.

    Within a bucket durations are taken to be spread evenly on the logarithmic scale.
    """
    buckets = list(list_buckets(histogram))
    wanted = share * sum(number for _, number in buckets)
    seen = 0
    for index, number in buckets:
        if seen + number >= wanted:
            if index == BUCKETS - 1:
                return _BOUNDS[-1]
            place = max(0.0, min(1.0, (wanted - seen) / number))
            return _BOUNDS[index] * math.pow(2.0, (place - 1) / SCALE)
        seen += number
    return None


def encode(histogram: int) -> bytes:
    """As it is stored: the buckets that are not empty as pairs of place and count, or all of them where many are."""
    if (known := _STORED_ONES.get(histogram)) is not None:
        return known
    pairs, rest = bytearray([_SPARSE]), histogram
    while rest:  # as in `list_buckets`; this runs for every rollup that is written
        index = ((rest & -rest).bit_length() - 1) // FIELD_BITS
        rest >>= index * FIELD_BITS
        number = rest & _MASK
        rest = (rest ^ number) << index * FIELD_BITS
        pairs.append(index)
        while number > 0x7F:
            pairs.append(number & 0x7F | 0x80)
            number >>= 7
        pairs.append(number)
        if len(pairs) > _MOST_PAIR_BYTES:
            return bytes([_DENSE]) + histogram.to_bytes((histogram.bit_length() + 7) // 8, "little")
    return bytes(pairs)


def decode(stored: bytes | None) -> int:
    """And back. What no version wrote counts as nothing; `doctor --deep` finds it."""
    if not stored:
        return EMPTY
    if stored[0] == _DENSE:
        return int.from_bytes(stored[1:], "little")
    if stored[0] != _SPARSE:
        return EMPTY
    histogram, index, number, shift = 0, -1, 0, 0
    for byte in memoryview(stored)[1:]:
        if index < 0:
            index = byte * FIELD_BITS
            continue
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            histogram += number << index
            index, number, shift = -1, 0, 0
    return histogram
