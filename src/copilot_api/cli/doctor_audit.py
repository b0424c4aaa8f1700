"""What `doctor` finds out about the audit log: its head, and whether the newest lines are as they were written."""

import os

from copilot_api.audit.verify import verify
from copilot_api.cli.doctor_ledger import Finding, State
from copilot_api.config.paths import DataDirectory

_CURE = "'copilot-api audit verify' looks at all of it; docs/guides/audit.md says what to do then"


def check_audit(directory: DataDirectory) -> Finding:
    """A quick look: the newest segment and the head. All of it is for `audit verify`."""
    path = directory.audit
    if not any(os.path.lexists(each) for each in (path, path.with_suffix(".head"))):
        return Finding(State.WARNING, f"not there yet: {path}", "the first start makes it")
    try:
        verdict = verify(path, newest_only=True)
    except OSError as error:
        return Finding(State.FAILED, f"cannot be read ({error})", "see what 'directory' says")
    if not verdict.is_whole:
        more = f" and {len(verdict.problems) - 1} more" if len(verdict.problems) > 1 else ""
        return Finding(State.FAILED, f"{verdict.problems[0]}{more}", _CURE)
    if verdict.last is None:
        return Finding(State.WARNING, f"there is no line in it yet: {path}", "the first start makes one")
    return Finding(
        State.OK, f"newest lines whole, head {verdict.last.seq}:{verdict.last.hash[:12]}… of {verdict.last.at}"
    )
