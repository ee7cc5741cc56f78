"""An index for the purge of idempotency keys, and autovacuum settings for large tables."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEX = "ix_idempotency_keys_created_at"

# PostgreSQL's defaults are 0.2, 0.2 and 0.1: a table of 100 million rows would collect 20 million dead ones.
SETTINGS = {
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_vacuum_insert_scale_factor": 0.05,
    "autovacuum_analyze_scale_factor": 0.02,
}
TABLES = ("tasks", "idempotency_keys")


def upgrade() -> None:
    # The lock (SHARE UPDATE EXCLUSIVE) blocks neither reads nor writes.
    for table in TABLES:
        settings = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())
        op.execute(f"ALTER TABLE {table} SET ({settings})")
    # Outside of the transaction, as CONCURRENTLY requires. An existing index is the invalid rest of a failed attempt.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        # New page ranges are summarized when they are full, not at the next vacuum.
        op.execute(
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX} ON idempotency_keys USING brin (created_at)"
            " WITH (autosummarize = on)"
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} RESET ({', '.join(SETTINGS)})")
