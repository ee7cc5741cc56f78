"""What a rollout runs beside the service: the migration, and the gate that holds new pods until it is done."""

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
    """A migration was refused by the database and rolled back; the same one would fail again."""


class SchemaWaitTimeout(Exception):
    """The database did not come, or not to the schema that was waited for, in time."""


async def migrate_with_retry(
    address: ConnectionParameters | str,
    schema: ApplicationSchema,
    *,
    revision: str,
    timeout_seconds: float,
    report: Report,
) -> str:
    """Bring a database to a revision, waiting for it where it is away or locked.

    Args:
        address: Parameters, or a URL, of the direct address, with the right to create tables.
        schema: Its migrations are run.
        revision: The one to reach.
        timeout_seconds: How long to try again; 0 tries once.
        report: Takes one sentence for each try that came to nothing.

    Returns:
        What was found and done, as a sentence.

    Raises:
        ConfigurationError: The address, the role or the database has to be corrected; the text says how.
        MigrationFailed: To try again is of no use.
        SchemaWaitTimeout: Time is up.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return await migrate(address, schema, revision=revision)
        except ConfigurationError:
            raise
        except (DatabaseUnavailable, DatabaseTimeout) as error:
            reason = _no_answer(error)
        except Exception as error:
            cause = _root(error)
            if needs_setup(cause):
                raise ConfigurationError(describe(cause)) from error
            if not is_transient(cause):
                raise MigrationFailed(f"The migration failed and was rolled back: {cause}") from error
            reason = f"The migration was cut off ({type(cause).__name__}) and rolled back."
        await _pause(deadline, reason, report)


async def wait_until_migrated(
    address: ConnectionParameters | str,
    schema: ApplicationSchema,
    *,
    timeout_seconds: float,
    report: Report,
    may_write_users: bool = True,
) -> str:
    """Wait until the database has this code's schema, or a later one, which still serves this code.

    It asks the database itself, not whoever migrates: a migration's Job may be long gone.

    Args:
        address: Parameters, or a URL, of the service's own address.
        schema: What the application needs.
        timeout_seconds: How long to ask again; 0 asks once.
        report: Takes one sentence for each answer that is not good enough.
        may_write_users: As `inspect_schema` takes it.

    Returns:
        What was found, as a sentence.

    Raises:
        ConfigurationError: The address, the role or the database has to be corrected; the text says how.
        SchemaWaitTimeout: Time is up.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            found = await inspect_schema_at(address, schema, may_write_users=may_write_users)
        except (DatabaseUnavailable, DatabaseTimeout) as error:
            reason = _no_answer(error)
        else:
            if found.defect:
                raise ConfigurationError(found.defect)
            reason = f"The database is at {found.revision or 'no revision'}; this release wants {schema.head_revision}."
            if found.state is not SchemaState.BEHIND:
                return f"The database is {found.state}. {reason}"
        await _pause(deadline, reason, report)


def _no_answer(error: Exception) -> str:
    # The type alone: an address has no place in a log, and a driver may quote it.
    return f"The database does not answer ({type(error.__cause__).__name__})."


def _root(error: Exception) -> Exception:
    """Return what the driver raised: SQLAlchemy wraps its adapter's error, which wraps the driver's."""
    wrapped = getattr(error, "orig", None) or error.__cause__
    return _root(wrapped) if isinstance(wrapped, Exception) else error


async def _pause(deadline: float, reason: str, report: Report) -> None:
    if time.monotonic() + _RETRY_SECONDS > deadline:
        raise SchemaWaitTimeout(f"Gave up. {reason}")
    report(f"{reason} Trying again.")
    await asyncio.sleep(_RETRY_SECONDS)
