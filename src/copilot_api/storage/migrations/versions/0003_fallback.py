"""Which model a call was meant for, where another one took its place."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to what there is; no event of before fell back."""
    op.add_column("usage_events", sa.Column("fallback_from", sa.Text))
