"""
The tables, as the newest migration leaves them; a test holds the two together.

Only types that every backend has. Times are microseconds since 1970 in UTC.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

from copilot_api.storage.instants import Instant
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("label", Text, nullable=False),
    Column("tier", String(20), nullable=False),
    Column("prefix", String(40), nullable=False),
    Column("policy", Text, nullable=False),  # a `KeyPolicy` as JSON: it is only ever read whole
    Column("created_at", Instant, nullable=False),
    Column("not_before", Instant),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    Column("capture_reason", Text),
    Column("capture_by", Text),
    Column("capture_since", Instant),
    Column("capture_until", Instant),
)

key_secrets = Table(
    "key_secrets",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("key_id", String(40), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("prefix", String(40), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # of the cookie's value
    Column("id", String(40), nullable=False, unique=True),
    Column("key_id", String(40), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("secret_digest", LargeBinary(32), nullable=False),  # no foreign key: it is looked up in the index of keys
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("stepped_up_at", Instant),
    Column("address", Text),
    Column("user_agent", Text),
    Index(None, "key_id", "created_at"),
)

usage_events = Table(
    "usage_events",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("key_id", Text),  # no foreign key: the ledger outlives the keys
    Column("identity_id", Text),
    Column("client", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text),
    Column("upstream_model", Text),
    Column("upstream_endpoint", Text),
    Column("stream", Boolean, nullable=False),
    Column("status", Integer, nullable=False),
    Column("cause", String(40), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("usage_unknown", Boolean, nullable=False),
    Column("nano_aiu", BigInteger),
    Column("premium_requests", Double, nullable=False),
    Column("initiator", Text),
    Column("effort", Text),
    Column("queue_seconds", Double, nullable=False),
    Column("time_to_first_token", Double),
    Column("duration", Double, nullable=False),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    Column("nano_aiu_estimated", Boolean, nullable=False, server_default=false()),
    Column("estimated_tokens", BigInteger, nullable=False, server_default="0"),
    Column("would_limit", Text),
    Column("fallback_from", Text),
    Column("kind", Text, nullable=False, server_default="turn"),
    Column("series_id", Integer),  # in which series of the rollups it counts
    Index(None, "at"),
    Index(None, "series_id", "at"),
)

usage_series = Table(
    "usage_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),  # all that follows in one text, since NULLs are never equal
    Column("grain", Integer, nullable=False),
    Column("key_id", Text),
    Column("identity_id", Text),
    Column("client", Text),
    Column("endpoint", Text),
    Column("model", Text),
    Column("upstream_model", Text),
    Column("status", Integer),
    Column("cause", String(40)),
    Column("kind", Text),
    Column("usage_unknown", Boolean),
    Index(None, "grain", "key_id"),
)


def _make_counters() -> list[Column[int]]:
    """What rollups count: whole numbers, so that sums are exact."""
    return [Column(name, BigInteger, nullable=False) for name in COUNTERS]


def _make_histograms() -> list[Column[bytes]]:
    return [Column(name, LargeBinary, nullable=False) for name in HISTOGRAMS]


# Hours lie in the order of time, which is that of writing; days, written once, by series, which is that of reading.
usage_hours = Table(
    "usage_hours",
    metadata,
    Column("grain", Integer, primary_key=True, autoincrement=False),  # that of the series
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    *_make_counters(),
    *_make_histograms(),
    Index(None, "series_id", "start"),
    sqlite_with_rowid=False,
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    *_make_counters(),
    *_make_histograms(),
    Index(None, "start"),
    sqlite_with_rowid=False,
)

usage_state = Table(
    "usage_state",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # of the key's id, which itself is nowhere any more
    Column("fate", String(20), nullable=False),
    Column("pseudonym", Text),  # only until the events have it: then nothing leads from the one to the other
    Column("begun_at", Instant, nullable=False),
    Column("finished_at", Instant),
)

quota_readings = Table(
    "quota_readings",
    metadata,
    Column("identity_id", String(40), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("entitlement", Double),
    Column("used", Double),
    Column("overage", Double, nullable=False),
    Column("is_unlimited", Boolean, nullable=False),
    Column("is_token_based", Boolean, nullable=False),
    Column("resets_at", Instant),
)

identity_stops = Table(
    "identity_stops",
    metadata,
    Column("identity_id", String(40), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
)

catalog_snapshots = Table(
    "catalog_snapshots",
    metadata,
    Column("identity_id", String(40), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("document", Text, nullable=False),  # Copilot's own list of models, as JSON
)

catalog_changes = Table(
    "catalog_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("identity_id", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("model", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Index(None, "identity_id", "at"),
)
