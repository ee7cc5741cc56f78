"""Commands of a rollout: `migrate` with retries, and `wait-for-schema`, which delays new pods until it is done."""

import asyncio
import time
from collections.abc import Callable

from backend.platform.errors import ConfigurationError, DatabaseTimeout, DatabaseUnavailable
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.error_translation import is_transient, needs_setup
from backend.platform.postgres.failure_reasons import describe
from backend.platform.postgres.migration import migrate
from backend.platform.postgres.schema import ApplicationSchema, SchemaState
from backend.platform.postgres.schema_inspection import inspect_schema_at

__all__ = ["MigrationFailed", "SchemaWaitTimeout", "migrate_with_retry", "wait_until_migrated"]

_RETRY_SECONDS = 2.0

Report = Callable[[str], object]


class MigrationFailed(Exception):
    """A migration failed and was rolled back; a retry would fail again."""


class SchemaWaitTimeout(Exception):
    """The database was not reachable, or did not have the schema, within the time limit."""


async def migrate_with_retry(
    address: ConnectionParameters | str,
    schema: ApplicationSchema,
    *,
    revision: str,
    timeout_seconds: float,
    report: Report,
) -> str:
    """Upgrade a database to a revision; retry while it is unreachable or locked.

    Args:
        address: Connection parameters or URL of a direct connection as a role that may create tables.
        schema: Schema with the migrations.
        revision: Target revision.
        timeout_seconds: Seconds for which transient failures are retried; 0 tries once.
        report: Called with one sentence for each failed attempt.

    Returns:
        A sentence with the previous and the new revision.

    Raises:
        ConfigurationError: The URL, the role or the database must be corrected; the message says how.
        MigrationFailed: The migration failed permanently.
        SchemaWaitTimeout: The time limit is reached.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return await migrate(address, schema, revision=revision)
        except ConfigurationError:
            raise
        except (DatabaseUnavailable, DatabaseTimeout) as error:
            reason = _describe_unreachable(error)
        except Exception as error:
            cause = _driver_error(error)
            if needs_setup(cause):
                raise ConfigurationError(describe(cause)) from error
            if not is_transient(cause):
                raise MigrationFailed(f"The migration failed and was rolled back: {cause}") from error
            reason = f"The migration was interrupted ({type(cause).__name__}) and rolled back."
        await _pause(deadline, reason, report)


async def wait_until_migrated(
    address: ConnectionParameters | str,
    schema: ApplicationSchema,
    *,
    timeout_seconds: float,
    report: Report,
    may_write_users: bool = True,
) -> str:
    """Wait until the database has the schema of this release, or of a later one, which is compatible.

    The database is polled, not the Job of the migration, which may already be deleted.

    Args:
        address: Connection parameters or URL of the service.
        schema: Schema that the application needs.
        timeout_seconds: Seconds for which the check is repeated; 0 checks once.
        report: Called with one sentence for each unsuccessful check.
        may_write_users: See `inspect_schema`.

    Returns:
        A sentence with the state of the schema.

    Raises:
        ConfigurationError: The URL, the role or the database must be corrected; the message says how.
        SchemaWaitTimeout: The time limit is reached.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            current = await inspect_schema_at(address, schema, may_write_users=may_write_users)
        except (DatabaseUnavailable, DatabaseTimeout) as error:
            reason = _describe_unreachable(error)
        else:
            if current.defect:
                raise ConfigurationError(current.defect)
            reason = f"The database is at {current.revision or 'no revision'}; this release needs {schema.head_revision}."
            if current.state is not SchemaState.BEHIND:
                return f"The database is {current.state}. {reason}"
        await _pause(deadline, reason, report)


def _describe_unreachable(error: Exception) -> str:
    # Only the type: the message of the driver may contain the address, which must not be logged.
    return f"The database does not answer ({type(error.__cause__).__name__})."


def _driver_error(error: Exception) -> Exception:
    """Return the exception of asyncpg, which SQLAlchemy and its adapter wrap."""
    wrapped = getattr(error, "orig", None) or error.__cause__
    return _driver_error(wrapped) if isinstance(wrapped, Exception) else error


async def _pause(deadline: float, reason: str, report: Report) -> None:
    if time.monotonic() + _RETRY_SECONDS > deadline:
        raise SchemaWaitTimeout(f"Timed out. {reason}")
    report(f"{reason} Retrying.")
    await asyncio.sleep(_RETRY_SECONDS)
