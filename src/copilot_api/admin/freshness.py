"""How old an answer may be that pages keep for a moment. New events make it too old at once; time alone less so."""

from datetime import timedelta

_AGES = ((timedelta(hours=3), 5.0), (timedelta(days=2), 20.0))
_LONGEST = 60.0


def max_age(span: timedelta) -> float:
    """In seconds, for a period of that length."""
    return next((age for most, age in _AGES if span <= most), _LONGEST)
