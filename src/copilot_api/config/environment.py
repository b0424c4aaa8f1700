"""The process environment; everything else is handed a mapping."""

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ  # noqa: TID251 -- the one place that may
