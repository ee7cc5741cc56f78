"""The database schema of this service: its migrations, its tables, and the privileges of the service's role."""

from pathlib import Path
from typing import Final

from backend.models.task import TASKS
from backend.models.user import USERS
from backend.platform.postgres.idempotency import IDEMPOTENCY_KEYS
from backend.platform.postgres.schema import ApplicationSchema

__all__ = ["SCHEMA"]

SCHEMA: Final = ApplicationSchema(
    migrations=Path(__file__).parent / "migrations",
    tables=(TASKS, IDEMPOTENCY_KEYS),
    grants={  # the same as in docs/operations.md
        "alembic_version": ("SELECT",),
        TASKS.name: ("SELECT", "INSERT", "UPDATE", "DELETE"),
        IDEMPOTENCY_KEYS.name: ("SELECT", "INSERT", "DELETE"),
        USERS.name: ("INSERT",),
    },
)
