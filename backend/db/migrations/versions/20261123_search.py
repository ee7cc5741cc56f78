"""A trigram index for `search`, so that a rare text is found without a scan of all tasks of a user."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Both extensions are trusted: the owner of the database can create them without being a superuser.
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gin")
    # Outside of the transaction, as CONCURRENTLY requires. An existing index is the invalid rest of a failed attempt.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_tasks_search")
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_tasks_search ON tasks"
            " USING gin (user_id, title gin_trgm_ops, description gin_trgm_ops)"
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_tasks_search")
    # The extensions stay: other applications can use them.
