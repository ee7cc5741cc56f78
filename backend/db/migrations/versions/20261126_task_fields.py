"""Priority, due date and tags of tasks."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = {"priority": "smallint", "due_date": "date", "due_at": "timestamptz", "tags": "text[]"}

# One constraint for all columns, which calls a function: PostgreSQL parses each constraint of a table in each INSERT and
# UPDATE, which costs some 12 µs, and a CHECK cannot contain a loop. The schemas also compare other letters than A to Z
# without case.
FIELDS_ARE_VALID = """
    CREATE FUNCTION tasks_fields_are_valid(
        title text, description text, priority smallint, due_date date, due_at timestamptz, tags text[]
    ) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        tag text;
        earlier text[];
    BEGIN
        IF char_length(title) NOT BETWEEN 1 AND 200
            OR char_length(description) > 10000
            OR priority NOT BETWEEN 1 AND 3
            OR (due_date IS NOT NULL AND due_at IS NOT NULL)
            OR due_date NOT BETWEEN '1970-01-01' AND '9999-12-31'
            OR due_at < '1970-01-01 00:00:00Z' OR due_at >= '10000-01-01 00:00:00Z'
            OR array_ndims(tags) <> 1 OR cardinality(tags) NOT BETWEEN 1 AND 20
        THEN
            RETURN false;
        END IF;
        IF tags IS NOT NULL THEN
            FOREACH tag IN ARRAY tags LOOP
                IF tag IS NULL OR char_length(tag) NOT BETWEEN 1 AND 50 OR tag <> btrim(tag) OR tag IS NOT NFC NORMALIZED
                    OR lower(tag COLLATE "C") = ANY (earlier)
                THEN
                    RETURN false;
                END IF;
                earlier := earlier || lower(tag COLLATE "C");
            END LOOP;
        END IF;
        RETURN true;
    END
    $$
"""


def upgrade() -> None:
    op.execute(FIELDS_ARE_VALID)
    # Nullable without a default, and NOT VALID: this neither rewrites nor scans the table.
    for name, type_ in COLUMNS.items():
        # The priority has four values.
        op.execute(
            f"-- squawk-ignore prefer-bigint-over-smallint\nALTER TABLE tasks ADD COLUMN {name} {type_}"
        )
    op.execute(
        "ALTER TABLE tasks ADD CONSTRAINT tasks_fields_valid"
        " CHECK (tasks_fields_are_valid(title, description, priority, due_date, due_at, tags)) NOT VALID"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE tasks DROP CONSTRAINT tasks_fields_valid")
    for name in COLUMNS:
        op.execute(f"ALTER TABLE tasks DROP COLUMN {name}")
    op.execute("DROP FUNCTION tasks_fields_are_valid(text, text, smallint, date, timestamptz, text[])")
