"""Checks from the system catalogs whether the service can use a database: revision, tables, encoding, grants."""

from dataclasses import dataclass
from typing import Final

from backend.platform.errors import ConfigurationError, DatabaseMisconfigured
from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.error_translation import translate
from backend.platform.postgres.schema import ApplicationSchema, SchemaState
from backend.platform.postgres.statement import Connection

__all__ = ["DatabaseSchema", "inspect_schema", "inspect_schema_at"]

_TIMEOUT_SECONDS = 5.0
"""Maximum wait for a connection, if the URL has no `connect_timeout`, and for each query."""

_WEAK_COMMITS: Final = {"off", "local", "remote_write"}
"""Values of `synchronous_commit` with which COMMIT does not wait until the WAL is on the disks of primary and standby."""

# Reads only the system catalogs, which every role can read. A grant on columns counts as a grant on the table.
_FACTS: Final = """
SELECT
    current_setting('server_encoding') AS encoding,
    current_setting('synchronous_commit') AS synchronous_commit,
    to_regclass('alembic_version') IS NOT NULL AS has_version_table,
    ARRAY(
        SELECT table_name FROM unnest($1::text[]) AS required (table_name) WHERE to_regclass(table_name) IS NULL
    ) AS missing_tables,
    ARRAY(
        SELECT table_name || '.' || column_name FROM unnest($2::text[], $3::text[]) AS required (table_name, column_name)
        WHERE NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = to_regclass(table_name) AND attname = column_name AND NOT attisdropped
        )
    ) AS missing_columns,
    ARRAY(
        SELECT format('GRANT %s ON %s TO %I', string_agg(privilege, ', '), to_regclass(table_name), current_user)
        FROM unnest($4::text[], $5::text[]) AS required (table_name, privilege)
        WHERE NOT CASE privilege
            WHEN 'DELETE' THEN has_table_privilege(to_regclass(table_name), privilege)
            ELSE has_any_column_privilege(to_regclass(table_name), privilege)
        END
        -- The service does not write into a table that other tables reference: it belongs to the frontend.
        AND NOT (table_name = 'users' AND (NOT $6 OR EXISTS (
            SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass('users')
                AND conrelid NOT IN (SELECT to_regclass(own) FROM unnest($1::text[]) AS tables (own))
        )))
        GROUP BY table_name
        ORDER BY table_name
    ) AS missing_grants,
    -- PostgreSQL ignores a schema without USAGE in the search path, as if its tables did not exist.
    ARRAY(
        SELECT format('GRANT USAGE ON SCHEMA %I TO %I', nspname, current_user) FROM pg_namespace
        WHERE NOT has_schema_privilege(oid, 'USAGE')
            AND EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND relname = 'alembic_version')
            AND EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND relname = $1[1])
    ) AS missing_usage
"""


@dataclass(frozen=True, slots=True)
class DatabaseSchema:
    """The result of an inspection.

    Attributes:
        revision: The revision of the last migration, None before the first one.
        state: The state of the revision relative to the code.
        migration_defect: A sentence with the defect that no migration can fix; None without such a defect.
        foreign_revisions: Revisions of another application that shares `alembic_version`.
        missing_grants: The GRANT statements for the missing privileges of the connected role.
        synchronous_commit: The setting of the session: the server's, the role's, or that of the URL.
    """

    revision: str | None
    state: SchemaState
    migration_defect: str | None = None
    foreign_revisions: tuple[str, ...] = ()
    missing_grants: tuple[str, ...] = ()
    synchronous_commit: str = "on"

    @property
    def durability_warning(self) -> str | None:
        """A sentence if the session's COMMIT returns before a crash or a failover can no longer lose the transaction."""
        if self.synchronous_commit not in _WEAK_COMMITS:
            return None
        return (
            f"synchronous_commit is {self.synchronous_commit}: a crash or a failover can lose acknowledged writes;"
            " set it to on or remote_apply for the server, the role and the database URL"
        )

    @property
    def defect(self) -> str | None:
        """A sentence why the service cannot use the migrated database; None if it can."""
        if self.migration_defect or not self.missing_grants:
            return self.migration_defect
        return f"the service's role lacks rights; run as the tables' owner: {'; '.join(self.missing_grants)}"


async def inspect_schema(
    connection: Connection, schema: ApplicationSchema, *, may_write_users: bool = True
) -> DatabaseSchema:
    """Inspect the database of a connection.

    Args:
        connection: Connection to the database.
        schema: The schema that the application needs.
        may_write_users: Whether the service's role needs the INSERT privilege on `users`, if it is not the frontend's.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Errors of asyncpg, untranslated.
    """
    (facts,) = await connection.fetch(_FACTS, *_query_arguments(schema), may_write_users)
    grants = tuple(facts["missing_usage"] or facts["missing_grants"])
    revisions: list[str] = []
    if facts["has_version_table"]:
        if any(" ON alembic_version " in grant for grant in grants):
            return DatabaseSchema(None, SchemaState.BEHIND, missing_grants=grants)
        revisions = [row[0] for row in await connection.fetch("SELECT version_num FROM alembic_version")]
    revision = next(filter(schema.has_revision, revisions), revisions[0] if revisions else None)
    foreign = tuple(each for each in revisions if each != revision and not schema.has_revision(each))
    state = schema.state(revision)
    later_tables = schema.tables_created_after(revision)
    missing_tables = [table for table in facts["missing_tables"] if table not in later_tables]
    defect = _encoding_defect(facts["encoding"]) or _table_defect(
        revision, state, missing_tables, facts["missing_columns"]
    )
    if state is SchemaState.BEHIND and not facts["missing_usage"]:
        grants = ()  # the migration creates the tables, and can grant privileges
    return DatabaseSchema(revision, state, defect, foreign, grants, facts["synchronous_commit"])


async def inspect_schema_at(
    address: ConnectionParameters | str, schema: ApplicationSchema, *, may_write_users: bool = True
) -> DatabaseSchema:
    """Inspect the database at an address, over a separate connection.

    Args:
        address: Connection parameters, or a URL, to which libpq's environment variables do not apply.
        schema: The schema that the application needs.
        may_write_users: See `inspect_schema`.

    Raises:
        ConfigurationError: The address, the role or the database is not correct; the message says how to fix it.
        DatabaseUnavailable, DatabaseTimeout: The database does not respond; `__cause__` is the driver's error.
    """
    parameters = parse_dsn(address) if isinstance(address, str) else address
    try:
        connection = await open_connection(
            parameters, timeout_seconds=_TIMEOUT_SECONDS, command_timeout_seconds=_TIMEOUT_SECONDS
        )
        try:
            return await inspect_schema(connection, schema, may_write_users=may_write_users)
        finally:
            if parameters.pooler == "spqr":
                connection.terminate()  # the router does not close a session that its client ends
            else:
                await connection.close(timeout=1.0)
    except ConfigurationError:
        raise
    except Exception as error:
        failure = translate(error)
        if isinstance(failure, DatabaseMisconfigured):
            raise ConfigurationError(failure.reason) from None
        if failure is None:
            raise
        raise failure from error


def _query_arguments(schema: ApplicationSchema) -> tuple[list[str], ...]:
    return (
        [table.name for table in schema.tables],
        [table.name for table in schema.tables for _ in table.columns],
        [column.name for table in schema.tables for column in table.columns],
        [table for table, privileges in schema.grants.items() for _ in privileges],
        [privilege for privileges in schema.grants.values() for privilege in privileges],
    )


def _encoding_defect(encoding: str) -> str | None:
    if encoding == "UTF8":
        return None
    return (
        f"the database has the encoding {encoding}, which cannot store every title: create one with"
        " ENCODING 'UTF8' TEMPLATE template0"
    )


def _table_defect(
    revision: str | None, state: SchemaState, missing_tables: list[str], missing_columns: list[str]
) -> str | None:
    if revision is None:
        return None
    if missing_tables:
        # An unknown revision does not prove that a later release has migrated the database.
        return (
            f"alembic_version is at {revision!r}, but the database has no table {' and no table '.join(missing_tables)}:"
            " if another application's migrations made alembic_version, give this service a database of its own;"
            " otherwise restore the tables"
        )
    if missing_columns and state is not SchemaState.BEHIND:
        return (
            f"alembic_version is at {revision!r}, but the database has no column"
            f" {' and no column '.join(missing_columns)}: restore what was dropped"
        )
    return None
