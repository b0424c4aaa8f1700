"""The keys that were erased, by a digest of their ids, so that none of their calls is stored under them again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to what there is; no key was erased before."""
    op.create_table(
        "erasures",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("fate", sa.String(20), nullable=False),
        sa.Column("pseudonym", sa.Text),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("digest", name="pk_erasures"),
    )
