"""The `users` table: detection of its owner, and the rows that the service inserts for foreign keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import structlog
from sqlalchemy import Table, Text
from sqlalchemy.dialects.postgresql import insert

from backend.errors import UserNotRegistered
from backend.models.task import TASKS
from backend.models.user import USERS
from backend.platform.postgres.database import Database
from backend.platform.postgres.idempotency import IDEMPOTENCY_KEYS
from backend.platform.postgres.statement import CompiledStatement, Connection, parameter

__all__ = [
    "INSERT_USER_IF_ABSENT",
    "UserRepository",
    "UsersTable",
    "UsersTableOwner",
    "register_user_reference",
]

_log = structlog.get_logger()

type UsersTableOwner = Literal["auto", "frontend", "service"]

_WRITTEN_COLUMNS = {"id", "name", "email"}

_FIRST_TABLES = [TASKS.name, IDEMPOTENCY_KEYS.name]
"""Tables whose foreign keys to `users` have no comment. Those of later tables have one (CONTRIBUTING.md)."""

INSERT_USER_IF_ABSENT = CompiledStatement(
    "insert user",
    insert(USERS)
    .values(id=parameter("user_id", Text), name="", email=parameter("email", Text))
    .on_conflict_do_nothing(),
)

# pg_catalog, because information_schema hides objects on which the role has no privilege.
_USERS_TABLE = """
    SELECT attname AS name,
        attnotnull AND NOT atthasdef AND attidentity = '' AS is_required,
        EXISTS (
            SELECT FROM pg_constraint AS reference JOIN pg_class AS referrer ON referrer.oid = reference.conrelid
            WHERE reference.contype = 'f' AND reference.confrelid = attrelid AND NOT (referrer.relname = ANY ($1::text[]))
                AND obj_description(reference.oid, 'pg_constraint') IS DISTINCT FROM 'task-service'
        ) AS is_referenced
    FROM pg_attribute
    WHERE attrelid = to_regclass('users') AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True, slots=True)
class UsersTable:
    """Properties of the `users` table, from the catalog.

    Attributes:
        columns: The columns. The value is True if an INSERT needs the column (NOT NULL without a default).
        is_referenced: Whether a table of another application has a foreign key to `users`.
    """

    columns: Mapping[str, bool]
    is_referenced: bool

    @property
    def is_writable(self) -> bool:
        """Whether an INSERT with id, name and e-mail address succeeds."""
        required = {name for name, is_required in self.columns.items() if is_required}
        return required <= _WRITTEN_COLUMNS <= self.columns.keys()

    @property
    def belongs_to_frontend(self) -> bool:
        """Whether the table differs from that of the service's migration, or another application references it.

        Better Auth's `session` and `account` reference its users under every table name.
        """
        return (
            self.is_referenced
            or not self.is_writable
            or self.columns.keys() != {column.name for column in USERS.c}
        )


class UserRepository:
    """Inserts the rows of `users` that other tables reference.

    Args:
        database: The database of `users`.
        table_owner: The application that writes `users`. `auto` reads the catalog each time that a user is
            missing, because a frontend can create its tables at any time.
    """

    def __init__(self, database: Database, table_owner: UsersTableOwner) -> None:
        self._database = database
        self._table_owner = table_owner

    async def ensure_user(self, user_id: str) -> bool:
        """Insert the user's row if it is missing, unless the frontend owns `users`.

        Args:
            user_id: The token's `sub`. No other claim is stored.

        Returns:
            False if the frontend owns `users`. Then nothing is written.

        Raises:
            UserNotRegistered: The setting names the service as the owner, but the table has other required columns.
            DomainError: See `Database.fetch`.
        """
        if self._table_owner == "frontend":
            return False
        table = await self._database.read_catalog(_users_table)
        if self._table_owner == "auto" and table.belongs_to_frontend:
            _log.info("the frontend has no such user")
            return False
        if not table.is_writable:
            raise UserNotRegistered("The users table has columns that this service cannot fill.")
        await self._database.fetch(INSERT_USER_IF_ABSENT, user_id=user_id, email=_placeholder_email(user_id))
        return True


def register_user_reference(database: Database, table: Table) -> None:
    """Make a violation of the table's foreign key to `users` raise `UserNotRegistered`."""
    for constraint in table.foreign_key_constraints:
        if constraint.referred_table is USERS:
            database.register_violation(str(constraint.name), _user_not_registered)


def _user_not_registered() -> UserNotRegistered:
    return UserNotRegistered("The token's user is not in this database.")


async def _users_table(connection: Connection) -> UsersTable:
    rows = await connection.fetch(_USERS_TABLE, _FIRST_TABLES)
    return UsersTable(
        {row["name"]: row["is_required"] for row in rows}, any(row["is_referenced"] for row in rows)
    )


def _placeholder_email(user_id: str) -> str:
    """Return an undeliverable address (RFC 2606 §2), different for each user.

    An id can contain characters that are invalid in an address, and exceed the 64 octets of a local part
    (RFC 5321 §4.5.3.1.1). The digest has 64 octets.
    """
    return f"{sha256(user_id.encode()).hexdigest()}@users.invalid"
