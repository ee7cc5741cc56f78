"""Indexes for the priority, the due date and the tags of tasks, in place of three that other indexes replace."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DUE = "coalesce(due_at, timezone('UTC', due_date + time '23:59:59.999999'))"

NEW_INDEXES = {
    "ix_tasks_user_id_completed_due": f"ON tasks (user_id, completed, {DUE}, id)"
    " WHERE due_date IS NOT NULL OR due_at IS NOT NULL",
    "ix_tasks_user_id_completed_not_due": "ON tasks (user_id, completed, due_date, id) WHERE due_date IS NULL AND due_at IS NULL",
    "ix_tasks_user_id_completed_priority": "ON tasks (user_id, completed, priority, id)",
    "ix_tasks_search_and_tags": "ON tasks USING gin"
    " (user_id, completed, title gin_trgm_ops, description gin_trgm_ops, tags)",
}

# A list of all tasks merges two scans of the indexes that start with user_id and completed.
OLD_INDEXES = {
    "ix_tasks_user_id_updated_at": "ON tasks (user_id, updated_at, id)",
    "ix_tasks_user_id_title": 'ON tasks (user_id, lower(title) COLLATE "C", id)',
    "ix_tasks_search": "ON tasks USING gin (user_id, title gin_trgm_ops, description gin_trgm_ops)",
}

# Part of the constraint trigger, which is cheaper.
OLD_CONSTRAINTS = {
    "tasks_title_length": "char_length(title) BETWEEN 1 AND 200",
    "tasks_description_length": "char_length(description) <= 10000",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name in OLD_CONSTRAINTS:
            op.execute(
                f"-- squawk-ignore ban-drop-constraint\nALTER TABLE tasks DROP CONSTRAINT IF EXISTS {name}"
            )
        replace_indexes(NEW_INDEXES, OLD_INDEXES)
    # The planner does not use the statistics of a partial index.
    op.execute(f"CREATE STATISTICS IF NOT EXISTS tasks_due ON ({DUE}) FROM tasks")


def downgrade() -> None:
    op.execute("DROP STATISTICS IF EXISTS tasks_due")
    with op.get_context().autocommit_block():
        for name, condition in OLD_CONSTRAINTS.items():
            op.execute(f"ALTER TABLE tasks DROP CONSTRAINT IF EXISTS {name}")
            op.execute(f"ALTER TABLE tasks ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
            op.execute(f"ALTER TABLE tasks VALIDATE CONSTRAINT {name}")
        replace_indexes(OLD_INDEXES, NEW_INDEXES)


def replace_indexes(new: dict[str, str], old: dict[str, str]) -> None:
    """Create indexes, then drop others; outside of the transaction, as CONCURRENTLY requires."""
    for name, definition in new.items():
        # An existing index is the invalid rest of a failed attempt.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} {definition}")
    for name in old:
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
