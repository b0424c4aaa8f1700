"""
Whether some characters were drawn by chance or written by somebody.

A word is letters of one case in a row, a number digits in a row; what a key generator gives changes between upper case,
lower case and digits all the time.
"""

import re
from itertools import pairwise

_WRITTEN = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]?[a-z]+|[A-Z]+)(?![A-Za-z0-9])"  # a word between signs that are none
    r"|[A-Z][a-z]{2,}|[a-z]{3,}|[A-Z]{5,}|[0-9]{3,}"  # a word in camel case, a number
)
_NUMBER = re.compile(r"(?<![A-Za-z0-9])[0-9]{6,}(?![A-Za-z0-9])")
_CHANGE = re.compile(r"(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z]")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
LOOKED_AT = 96
"""So many characters tell; of a longer text the first ones are looked at."""
MOST_WRITTEN = 0.8
"""The share of words and numbers from which on a text in both cases counts as written."""
LEAST_CHANGES = 0.12
"""How often letters and digits take turns, for each character, in what is drawn from one case and digits."""
UNBROKEN = 32
"""So many letters and digits with nothing between them are no name, even where they rarely take turns."""
LEAST_DIFFERENT = 6


def looks_random(text: str) -> bool:
    """Whether `text` was probably drawn by chance. A UUID counts as written: ids are made of them."""
    text = _NUMBER.sub("", text[:LOOKED_AT])
    signs = "".join(character for character in text if character.isalnum())
    if len(set(signs)) < max(LEAST_DIFFERENT, min(len(signs), 30) // 4) or _is_run(signs) or _UUID.fullmatch(text):
        return False
    digits = sum(character.isdigit() for character in signs)
    if digits == len(signs):
        return False
    if signs.upper() != signs != signs.lower():
        written = sum(len(found) for found in _WRITTEN.findall(text))
        return written < MOST_WRITTEN * len(signs) and (digits > 0 or len(signs) >= 16)
    changes = len(_CHANGE.findall(signs))
    return digits > 1 and changes >= (3 if len(text) == len(signs) >= UNBROKEN else max(3, LEAST_CHANGES * len(signs)))


def _is_run(signs: str) -> bool:
    """Whether it is the alphabet or the digits in their order, mostly."""
    following = sum(ord(second) - ord(first) == 1 for first, second in pairwise(signs))
    return following > len(signs) // 2
