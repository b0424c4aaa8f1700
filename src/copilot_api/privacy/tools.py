"""What export and erasure are done with, put together by whoever knows where everything is stored."""

from collections.abc import Callable
from dataclasses import dataclass

from copilot_api.privacy.erasing import Eraser
from copilot_api.privacy.exporting import Exporter
from copilot_api.privacy.subjects import Subjects


@dataclass(frozen=True, slots=True)
class PrivacyTools:
    """See the module."""

    subjects: Subjects
    exporter: Exporter
    eraser: Eraser


MakeTools = Callable[[], PrivacyTools]
"""Makes them anew for each use: an erasure has a name of its own, under which it takes over what others left."""
