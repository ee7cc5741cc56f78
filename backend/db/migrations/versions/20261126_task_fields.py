"""Priority, due date and tags of tasks."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = {"priority": "smallint", "due_date": "date", "due_at": "timestamptz", "tags": "text[]"}

CONSTRAINTS = {
    "tasks_priority_range": "priority BETWEEN 1 AND 3",
    "tasks_due_forms": "due_date IS NULL OR due_at IS NULL",
    "tasks_due_date_range": "due_date BETWEEN '1970-01-01' AND '9999-12-31'",
    "tasks_due_at_range": "due_at >= '1970-01-01 00:00:00Z' AND due_at < '10000-01-01 00:00:00Z'",
    "tasks_tags_count": "array_ndims(tags) = 1 AND cardinality(tags) BETWEEN 1 AND 20",
    "tasks_tags_valid": "tags IS NULL OR tasks_tags_are_valid(tags)",
}

# A CHECK cannot contain a subquery. The schemas compare more than the letters A to Z without case.
TAGS_ARE_VALID = """
    CREATE FUNCTION tasks_tags_are_valid(tags text[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
        SELECT count(*) = count(DISTINCT lower(tag COLLATE "C"))
            AND bool_and(char_length(tag) BETWEEN 1 AND 50 AND tag = btrim(tag) AND tag IS NFC NORMALIZED)
        FROM unnest(tags) AS tag
    )
"""


def upgrade() -> None:
    op.execute(TAGS_ARE_VALID)
    # Nullable without a default, and NOT VALID: this neither rewrites nor scans the table.
    for name, type_ in COLUMNS.items():
        op.execute(f"ALTER TABLE tasks ADD COLUMN {name} {type_}")
    for name, condition in CONSTRAINTS.items():
        op.execute(f"ALTER TABLE tasks ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")


def downgrade() -> None:
    for name in CONSTRAINTS:
        op.execute(f"ALTER TABLE tasks DROP CONSTRAINT {name}")
    for name in COLUMNS:
        op.execute(f"ALTER TABLE tasks DROP COLUMN {name}")
    op.execute("DROP FUNCTION tasks_tags_are_valid(text[])")
