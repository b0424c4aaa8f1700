"""Copilot's list of models as it was read last, and what changed of it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to what there is; the next reading is the first."""
    op.create_table(
        "catalog_snapshots",
        sa.Column("identity_id", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("identity_id", name="pk_catalog_snapshots"),
    )
    op.create_table(
        "catalog_changes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("identity_id", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalog_changes"),
    )
    op.create_index("ix_catalog_changes_identity_id_at", "catalog_changes", ["identity_id", "at"])
