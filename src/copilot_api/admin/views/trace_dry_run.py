"""The dry run: what redaction would make of a text. Nothing of it is kept, and the page does not show it again."""

from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.views.traces import PATH, list_places
from copilot_api.api.trace_dry_run import MAX_BODY_BYTES
from copilot_api.capture.dry_run import DryRun, run_dry
from copilot_api.errors import BadRequest

DRY_RUN = f"{PATH}/dry-run"
MAX_FORM_BYTES = 3 * MAX_BODY_BYTES + 4096
"""Each byte of the text may take three in a form."""
SHOWN_NEAR_MISSES = 100
MEDIA_TYPES = (
    ("", "Find out"),
    ("application/json", "JSON"),
    ("text/event-stream", "Server-sent events"),
    ("text/plain", "Plain text"),
)


class TraceDryRunView:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def show(self, _request: AdminRequest) -> Answer:
        """The form."""
        return self._answer()

    async def run(self, request: AdminRequest) -> Answer:
        """What was found in the text of the form."""
        text, media_type = request.form.get("text"), request.form.get("media_type")
        problem = ""
        if not text:
            problem = "Paste a text first."
        elif len(text.encode()) > MAX_BODY_BYTES:
            problem = f"It is longer than {MAX_BODY_BYTES // 1024} KiB: 'copilot-api traces redact' takes any length."
        elif media_type not in dict(MEDIA_TYPES):
            problem = "There is no such kind of text."
        if problem:
            return self._answer(media_type=media_type, problem=problem)
        try:
            found = await self._services.threads.ask(lambda: run_dry(text.encode(), media_type))
        except BadRequest as error:
            return self._answer(media_type=media_type, problem=error.message)
        return self._answer(media_type=media_type, found=found)

    def _answer(self, *, media_type: str = "", problem: str = "", found: DryRun | None = None) -> Page:
        misses = [] if found is None else found.near_misses
        counts: dict[str, int] = {}
        for hit in () if found is None else found.hits:
            counts[hit.rule] = counts.get(hit.rule, 0) + 1
        data: dict[str, object] = {
            "places": list_places(DRY_RUN),
            "media_types": MEDIA_TYPES,
            "media_type": media_type,
            "most": MAX_BODY_BYTES,
            "problem": problem,
            "found": found,
            "counts": sorted(counts.items(), key=lambda item: (-item[1], item[0])),
            "misses": misses[:SHOWN_NEAR_MISSES],
            "more_misses": max(0, len(misses) - SHOWN_NEAR_MISSES),
        }
        return Page("traces/dry_run.html", data, 400 if problem else 200)
