"""Readiness of a worker: drain, database and schema."""

import asyncio
import time
from collections.abc import Callable

import structlog

from backend.platform.errors import DatabaseMisconfigured, DomainError
from backend.platform.postgres.database import Database
from backend.platform.postgres.schema import ApplicationSchema, SchemaState
from backend.platform.postgres.schema_probe import is_saturated, probe_schema
from backend.platform.server.drain import Drain
from backend.platform.service_name import SERVICE_NAME
from backend.platform.settings.server import ServerSettings

__all__ = ["Readiness"]

_log = structlog.get_logger()

_CHECK_TIMEOUT_SECONDS = 2.0
"""Shorter than `timeoutSeconds` of the probe, so that the probe gets the reason."""


class Readiness:
    """Decides whether a worker is ready.

    Args:
        database: Database of the worker.
        schema: Schema that the application needs.
        drain: State of the drain.
        settings: Contains `readiness_database_check` and `readiness_cache_seconds`.
        may_write_users: Whether the service's role needs the INSERT privilege on `users`.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self,
        database: Database,
        schema: ApplicationSchema,
        drain: Drain,
        settings: ServerSettings,
        *,
        may_write_users: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._schema = schema
        self._drain = drain
        self._mode = settings.readiness_database_check
        self._may_write_users = may_write_users
        self._cache_seconds = settings.readiness_cache_seconds
        self._clock = clock
        self._cached_until = float("-inf")
        self._logged_reason: str | None = None
        self._logged_warning: str | None = None

    async def not_ready_reason(self) -> str | None:
        """Return why the worker is not ready, None if it is."""
        if self._drain.active:
            return "draining"
        if self._mode == "off" or (self._mode == "cached" and self._clock() < self._cached_until):
            return None
        reason = await self._database_reason()
        if reason is None:
            self._cached_until = self._clock() + self._cache_seconds
        elif reason != self._logged_reason:
            _log.warning("not ready", reason=reason)
        self._logged_reason = reason
        return reason

    async def _database_reason(self) -> str | None:
        if is_saturated(self._database):
            # All connections are in use: a failing probe would turn load into an outage.
            return None
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
                schema = await probe_schema(
                    self._database, self._schema, may_write_users=self._may_write_users
                )
        except DatabaseMisconfigured as error:
            return error.reason
        except (DomainError, TimeoutError):
            return "the database does not answer"
        if (warning := schema.durability_warning) and warning != self._logged_warning:
            _log.warning("writes are not durable", reason=warning)
        self._logged_warning = warning
        if schema.defect:
            return schema.defect
        if schema.state is SchemaState.BEHIND:
            return f"the database's schema is behind: run `{SERVICE_NAME} migrate`"
        return None
