"""The schema of this service: migrations, own tables, and the privileges of the service's role."""

from pathlib import Path
from typing import Final

from backend.models.task import TASKS
from backend.platform.postgres.idempotency_key import IDEMPOTENCY_KEYS
from backend.platform.postgres.schema import ApplicationSchema

__all__ = ["SCHEMA"]

SCHEMA: Final = ApplicationSchema(
    migrations=Path(__file__).parent / "migrations",
    tables=(TASKS, IDEMPOTENCY_KEYS),
    grants={  # as docs/operations.md gives them
        "alembic_version": ("SELECT",),
        "tasks": ("SELECT", "INSERT", "UPDATE", "DELETE"),
        "idempotency_keys": ("SELECT", "INSERT", "DELETE"),
        "users": ("INSERT",),
    },
)
