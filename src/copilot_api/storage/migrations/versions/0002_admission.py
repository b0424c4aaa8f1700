"""What budgets need of events, what was only observed, and the identities that are stopped."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to what there is; events of before have no estimates and were not observed."""
    op.add_column(
        "usage_events", sa.Column("nano_aiu_estimated", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("usage_events", sa.Column("estimated_tokens", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("usage_events", sa.Column("would_limit", sa.Text))
    op.create_table(
        "identity_stops",
        sa.Column("identity_id", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("identity_id", name="pk_identity_stops"),
    )
