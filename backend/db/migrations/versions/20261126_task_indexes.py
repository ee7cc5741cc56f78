"""Indexes for the priority, the due date and the tags of tasks; each index of the list starts with `completed`."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NEW_INDEXES = {
    "ix_tasks_user_id_completed_due": "ON tasks (user_id, completed,"
    " coalesce(due_at, timezone('UTC', due_date + time '23:59:59.999999')), id)",
    "ix_tasks_user_id_completed_priority": "ON tasks (user_id, completed, priority, id)",
    "ix_tasks_tags": "ON tasks USING gin (user_id, completed, tags) WHERE tags IS NOT NULL",
}

# A list of all tasks merges two scans of the indexes that start with user_id and completed.
OLD_INDEXES = {
    "ix_tasks_user_id_created_at": "ON tasks (user_id, created_at, id)",
    "ix_tasks_user_id_updated_at": "ON tasks (user_id, updated_at, id)",
    "ix_tasks_user_id_title": 'ON tasks (user_id, lower(title) COLLATE "C", id)',
}


CONSTRAINTS = (
    *("tasks_priority_range", "tasks_due_forms", "tasks_due_date_range", "tasks_due_at_range"),
    *("tasks_tags_count", "tasks_tags_valid"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name in CONSTRAINTS:
            op.execute(
                f"ALTER TABLE tasks VALIDATE CONSTRAINT {name}"
            )  # scans the table, but blocks no writes
        replace_indexes(NEW_INDEXES, OLD_INDEXES)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        replace_indexes(OLD_INDEXES, NEW_INDEXES)


def replace_indexes(new: dict[str, str], old: dict[str, str]) -> None:
    """Create indexes, then drop others; outside of the transaction, as CONCURRENTLY requires."""
    for name, definition in new.items():
        # An existing index is the invalid rest of a failed attempt.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} {definition}")
    for name in old:
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
