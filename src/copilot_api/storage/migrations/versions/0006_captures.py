"""Until when a key's calls are captured, why, and who wanted it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to what there is; no key was captured before."""
    op.add_column("api_keys", sa.Column("capture_reason", sa.Text))
    op.add_column("api_keys", sa.Column("capture_by", sa.Text))
    op.add_column("api_keys", sa.Column("capture_since", sa.BigInteger))
    op.add_column("api_keys", sa.Column("capture_until", sa.BigInteger))
