"""Hourly and daily sums of the ledger, what kind of call each one was, and readings of the account's quota."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTERS = (
    "requests",
    "errors",
    "would_limit",
    "unknown",
    "charged",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "estimated_tokens",
    "nano_aiu",
    "estimated_nano_aiu",
    "micro_premium_requests",
    "queue_microseconds",
    "duration_microseconds",
    "first_token_microseconds",
    "bytes_in",
    "bytes_out",
)


def upgrade() -> None:
    """Add to what there is. The sums of the events that are there are made behind the last migration."""
    op.add_column("usage_events", sa.Column("kind", sa.Text, nullable=False, server_default="turn"))
    op.add_column("usage_events", sa.Column("series_id", sa.Integer))
    op.drop_index("ix_usage_events_key_id_at", "usage_events")
    op.create_index("ix_usage_events_series_id_at", "usage_events", ["series_id", "at"])
    op.create_table(
        "usage_series",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("grain", sa.Integer, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("identity_id", sa.Text),
        sa.Column("client", sa.Text),
        sa.Column("endpoint", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("upstream_model", sa.Text),
        sa.Column("status", sa.Integer),
        sa.Column("cause", sa.String(40)),
        sa.Column("kind", sa.Text),
        sa.Column("usage_unknown", sa.Boolean),
        sa.PrimaryKeyConstraint("id", name="pk_usage_series"),
        sa.UniqueConstraint("name", name="uq_usage_series_name"),
    )
    op.create_index("ix_usage_series_grain_key_id", "usage_series", ["grain", "key_id"])
    op.create_table(
        "usage_hours",
        sa.Column("grain", sa.Integer, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("series_id", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTERS),
        sa.Column("durations", sa.LargeBinary, nullable=False),
        sa.Column("first_tokens", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("grain", "start", "series_id", name="pk_usage_hours"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_usage_hours_series_id_start", "usage_hours", ["series_id", "start"])
    op.create_table(
        "usage_days",
        sa.Column("series_id", sa.Integer, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTERS),
        sa.Column("durations", sa.LargeBinary, nullable=False),
        sa.Column("first_tokens", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("series_id", "start", name="pk_usage_days"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_usage_days_start", "usage_days", ["start"])
    op.create_table(
        "usage_state",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_usage_state"),
    )
    op.create_table(
        "quota_readings",
        sa.Column("identity_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("entitlement", sa.Double),
        sa.Column("used", sa.Double),
        sa.Column("overage", sa.Double, nullable=False),
        sa.Column("is_unlimited", sa.Boolean, nullable=False),
        sa.Column("is_token_based", sa.Boolean, nullable=False),
        sa.Column("resets_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("identity_id", "name", "at", name="pk_quota_readings"),
    )
