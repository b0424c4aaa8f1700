"""Which colour a series has: by a hash of its name, so that a key or a model looks the same wherever it is shown."""

COLOURS = 8
"""How many there are; `--series-1` to `--series-8` in tokens.css."""
OTHER = "other"
"""The name of what is left over; it is grey."""

# Not FNV's own offset, but one of which Copilot's most used models come out in eight different colours.
_OFFSET, _PRIME, _MASK = 0x811C9EF3, 0x01000193, 0xFFFFFFFF


def series_slot(name: str) -> int:
    """The colour of `name`, 1 to 8; 0 for the rest. `static/palette.js` says the same, and a test holds it to that."""
    if name == OTHER:
        return 0
    value = _OFFSET
    for byte in name.encode("utf-8", "replace"):
        value = ((value ^ byte) * _PRIME) & _MASK
    value ^= value >> 15  # the low bits of FNV-1a alone are poor for names that differ in their last letter
    return value % COLOURS + 1


def series_class(name: str) -> str:
    """The CSS class of `name`, which sets `--series`."""
    slot = series_slot(name)
    return f"series-{slot}" if slot else "series-other"
