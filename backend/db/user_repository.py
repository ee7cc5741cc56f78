"""The rows of `users` that tasks refer to: who owns the table, and the one row that the service may write."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import structlog

from backend.db import user_statements as users
from backend.errors import UserNotRegistered
from backend.models.task import TASKS
from backend.models.user import USERS
from backend.platform.postgres.database import Database
from backend.platform.postgres.idempotency_key import IDEMPOTENCY_KEYS
from backend.platform.postgres.statement import Connection

__all__ = ["UserRepository", "UsersTable", "UsersTableOwner"]

_log = structlog.get_logger()

type UsersTableOwner = Literal["auto", "frontend", "service"]

_WRITTEN_COLUMNS = {"id", "name", "email"}

_FIRST_TABLES = [TASKS.name, IDEMPOTENCY_KEYS.name]
"""The service's tables whose foreign keys to `users` carry no comment; those of all later ones do (CONTRIBUTING.md)."""

# pg_catalog and not information_schema, which hides what the role has no privilege on.
_USERS_TABLE = """
    SELECT attname AS name,
        attnotnull AND NOT atthasdef AND attidentity = '' AS is_required,
        EXISTS (
            SELECT FROM pg_constraint AS reference JOIN pg_class AS referrer ON referrer.oid = reference.conrelid
            WHERE reference.contype = 'f' AND reference.confrelid = attrelid AND referrer.relname <> ALL ($1::text[])
                AND obj_description(reference.oid, 'pg_constraint') IS DISTINCT FROM 'task-service'
        ) AS is_referenced
    FROM pg_attribute
    WHERE attrelid = to_regclass('users') AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True, slots=True)
class UsersTable:
    """What the catalog says about `users`.

    Attributes:
        columns: Its columns; True for one that an INSERT must name (NOT NULL without a default).
        is_referenced: Whether a table other than the service's has a foreign key to it.
    """

    columns: Mapping[str, bool]
    is_referenced: bool

    @property
    def is_writable(self) -> bool:
        """Whether a row needs no more than an id, a name and an e-mail address."""
        required = {name for name, is_required in self.columns.items() if is_required}
        return required <= _WRITTEN_COLUMNS <= self.columns.keys()

    @property
    def belongs_to_frontend(self) -> bool:
        """Whether it is not the table that the service's migration makes, or others build on it.

        Better Auth's `session` and `account` have a foreign key to its users, whatever the tables are called.
        """
        return (
            self.is_referenced
            or not self.is_writable
            or self.columns.keys() != {column.name for column in USERS.c}
        )


class UserRepository:
    """Writes the row that a user's tasks refer to.

    Args:
        database: Where `users` is.
        table_owner: Who writes `users`; `auto` asks the catalog each time that a user is missing, so that
            a frontend may create its tables at any time.
    """

    def __init__(self, database: Database, table_owner: UsersTableOwner) -> None:
        self._database = database
        self._table_owner = table_owner

    async def ensure_user(self, user_id: str) -> bool:
        """Write the user's row where it is missing, unless `users` is the frontend's.

        Args:
            user_id: The token's `sub`. Nothing else of the token is stored.

        Returns:
            False where `users` is the frontend's: it decides who has a row, and nothing was written.

        Raises:
            UserNotRegistered: The setting says that the table is the service's, but it has columns of others.
            DomainError: See `Database.fetch`.
        """
        if self._table_owner == "frontend":
            return False
        table = await self._database.transaction(_users_table)
        if self._table_owner == "auto" and table.belongs_to_frontend:
            _log.info("the frontend has no such user")
            return False
        if not table.is_writable:
            raise UserNotRegistered("The users table has columns that this service cannot fill.")
        await self._database.fetch(users.INSERT_USER, user_id=user_id, email=_placeholder_email(user_id))
        return True


async def _users_table(connection: Connection) -> UsersTable:
    rows = await connection.fetch(_USERS_TABLE, _FIRST_TABLES)
    return UsersTable(
        {row["name"]: row["is_required"] for row in rows}, any(row["is_referenced"] for row in rows)
    )


def _placeholder_email(user_id: str) -> str:
    """Return an address that no mail reaches (RFC 2606 §2), different for each user.

    An id may hold characters that an address may not, and more of them than the 64 octets of a local part
    (RFC 5321 §4.5.3.1.1); 64 is also the length of the digest.
    """
    return f"{sha256(user_id.encode()).hexdigest()}@users.invalid"
