"""Tasks and idempotency keys; also `users` as Better Auth creates it, if it does not exist."""

import sqlalchemy as sa
from alembic import context, op

from backend.platform.errors import ConfigurationError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SORT_KEYS = {"created_at": "created_at", "updated_at": "updated_at", "title": 'lower(title) COLLATE "C"'}


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS users (
            id text NOT NULL PRIMARY KEY,
            name text NOT NULL,
            email text NOT NULL UNIQUE,
            "emailVerified" boolean NOT NULL DEFAULT false,
            image text,
            "createdAt" timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
            "updatedAt" timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
        )
        """
    )
    if not context.is_offline_mode():
        reject_other_id_types()
    op.create_table(
        "tasks",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("completed", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("version", sa.BigInteger, nullable=False, server_default=sa.text("1")),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 200", name="tasks_title_length"),
        sa.CheckConstraint("char_length(description) <= 10000", name="tasks_description_length"),
    )
    for name, key in SORT_KEYS.items():
        op.create_index(f"ix_tasks_user_id_{name}", "tasks", ["user_id", sa.text(key), "id"])
        op.create_index(
            f"ix_tasks_user_id_completed_{name}", "tasks", ["user_id", "completed", sa.text(key), "id"]
        )
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_idempotency_keys_user_id_created_at", "idempotency_keys", ["user_id", "created_at"])


def downgrade() -> None:
    # `users` stays, because it can belong to the frontend.
    op.drop_table("idempotency_keys")
    op.drop_table("tasks")


def reject_other_id_types() -> None:
    """Raise an error if PostgreSQL cannot create a foreign key to `users.id`."""
    id_type = op.get_bind().scalar(
        sa.text(
            "SELECT format_type(atttypid, NULL) FROM pg_attribute"
            " WHERE attrelid = to_regclass('users') AND attname = 'id'"
        )
    )
    if id_type is None:
        raise ConfigurationError("the table users has no column id; tasks refer to it")
    if id_type not in {"text", "character varying"}:
        raise ConfigurationError(
            f"users.id is of type {id_type}; tasks need Better Auth's default text ids (advanced.database.generateId)"
        )
