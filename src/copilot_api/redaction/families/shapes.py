"""What the rules of the families have in common: patterns of a name that is followed by its value, and what ends a token."""

ASSIGNED = r"""[\w .\-\]"'\\]{0,24}?["'\]\\]{0,4}\s{0,8}(?::=|=>|->|=|:|,)\s{0,8}[\\]{0,3}["'`]?"""
"""Between a name and its value: `NAME=`, `"name": "`, `name => '`."""


def near(vendor: str, value: str, what: str = "key|token|secret|pass|pwd|auth|pat|credential") -> str:
    """The pattern of a value without a form of its own, behind a name that has the vendor's and says what it is."""
    return rf"{vendor}[\w .\-]{{0,24}}?(?:{what}){ASSIGNED}({value})(?![A-Za-z0-9])"
