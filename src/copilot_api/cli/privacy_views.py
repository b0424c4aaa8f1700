"""What `copilot-api privacy` shows: what an erasure will find, its receipt, and what an archive holds."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from copilot_api.privacy.erasing import Order, Preview
from copilot_api.privacy.exporting import Exported
from copilot_api.privacy.models import EventsFate
from copilot_api.privacy.receipts import Backup, Receipt

_FATES = {
    EventsFate.PSEUDONYMISE: "get a random name; every sum stays as it is",
    EventsFate.DELETE: "are deleted, and taken out of every sum",
}


def render_preview(preview: Preview, order: Order) -> Iterator[str]:
    """What will happen, line by line."""
    subject, ledger = preview.subject, preview.ledger
    name = f"{subject.id} ({subject.key.label})" if subject.key else f"{subject.id}, whose row is gone already"
    yield f"key {name}:"
    if preview.is_begun:
        yield "  an erasure of it was begun, and will be finished"
    if preview.erased_at is not None:
        yield f"  was erased at {preview.erased_at:%Y-%m-%d %H:%M} UTC; nothing leads to what it left then"
    yield f"  ends at once; {len(subject.secrets)} secrets, label, limits and budgets are deleted"
    yield f"  {ledger.events:,} usage events {_FATES[order.fate]}"
    if preview.journal_lines:
        yield f"  {preview.journal_lines:,} lines of the journal are brought in first"
    yield f"  {preview.traces_in_files:,} captures in files are deleted, and those in memory of running gateways"
    if preview.models:
        yield f"  config.json names it for {', '.join(preview.models)}: taken out there and in former versions"
    if order.may_rewrite:
        size = preview.database_bytes / 1024**2
        yield f"  the database ({size:,.0f} MiB) is written anew if its file still holds what was deleted earlier"
    if preview.gateways:
        yield f"  running gateways: {preview.gateways}; they go on serving other keys"
    if preview.backups:
        yield f"  not touched: {', '.join(map(_render_backup, preview.backups))}"
    yield "  the audit log keeps its lines"


def render_receipt(receipt: Receipt) -> dict[str, str | Sequence[str] | None]:
    """The receipt for people: see `print_fields`."""
    deed = "got a random name" if receipt.fate is EventsFate.PSEUDONYMISE else "deleted"
    memory = "no gateway to ask" if receipt.traces_in_memory is None else f"{receipt.traces_in_memory:,}"
    config = (
        f"{receipt.config_mentions} mentions; former versions: {receipt.config_versions_rewritten} rewritten, "
        f"{receipt.config_versions_deleted} deleted"
    )
    return {
        "receipt": "complete" if receipt.is_complete else "INCOMPLETE",
        "key": receipt.key_id,
        "begun": receipt.begun_at.isoformat(timespec="seconds"),
        "finished": receipt.finished_at.isoformat(timespec="seconds") if receipt.finished_at else None,
        "keys deleted": f"{receipt.keys}, with {receipt.secrets} secrets and {receipt.sessions} sessions",
        "events": f"{receipt.events:,} {deed}",
        "series": f"{receipt.series:,}",
        "rollups": f"{receipt.rollups:,}",
        "journal": f"{receipt.journal_lines:,} lines",
        "captures in files": f"{receipt.traces_in_files:,} in {receipt.trace_files:,} files",
        "captures in memory": memory,
        "configuration": config,
        "first admin key": "its file was deleted" if receipt.admin_key_file else None,
        "audit lines kept": f"{receipt.audit_lines_kept:,}: {receipt.audit_lines_kept_because}",
        "database": "written anew" if receipt.was_rewritten else "nothing of it in the bytes of its files",
        "not touched": list(map(_render_backup, receipt.backups_not_touched)),
        "out of reach": receipt.not_reached,
        "LEFT": [f"{each.where}: {each.what} ({each.count:,})" for each in receipt.leftovers],
        "hash": receipt.hash,
    }


def render_export(exported: Exported) -> dict[str, Any]:
    """What an archive holds, for programs."""
    return {"files": msgspec.to_builtins(exported.members), "notes": list(exported.notes)}


def _render_backup(backup: Backup) -> str:
    return f"{backup.name} ({backup.age_days} days old)"
