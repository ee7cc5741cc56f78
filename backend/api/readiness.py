"""Whether requests should come to this worker."""

import asyncio
import time
from collections.abc import Callable

import structlog

from backend.database_config import DatabaseSettings
from backend.db.database import Database
from backend.db.schema import SchemaState
from backend.db.schema_probe import is_busy, probe_schema
from backend.errors import DatabaseMisconfigured, DomainError
from backend.process.drain import Drain

__all__ = ["Readiness"]

_log = structlog.get_logger()

_CHECK_SECONDS = 2.0
"""Shorter than a probe's own time limit, so that the probe gets the reason."""


class Readiness:
    """Decides on drain, database and schema.

    Args:
        database: The worker's.
        drain: Whether requests should go elsewhere.
        settings: `readiness_database`, `readiness_cache_seconds` and `users_table_owner`.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        database: Database,
        drain: Drain,
        settings: DatabaseSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._drain = drain
        self._mode = settings.readiness_database
        self._may_write_users = settings.may_write_users
        self._cache_seconds = settings.readiness_cache_seconds
        self._clock = clock
        self._good_until = float("-inf")
        self._logged_reason: str | None = None

    async def reason_against(self) -> str | None:
        """Return why requests should not come here, None where they should."""
        if self._drain.active:
            return "draining"
        if self._mode == "off" or (self._mode == "cached" and self._clock() < self._good_until):
            return None
        reason = await self._database_reason()
        if reason is None:
            self._good_until = self._clock() + self._cache_seconds
        elif reason != self._logged_reason:
            _log.warning("not ready", reason=reason)
        self._logged_reason = reason
        return reason

    async def _database_reason(self) -> str | None:
        if is_busy(self._database):
            # Every connection works: to send all requests elsewhere would turn load into an outage.
            return None
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                schema = await probe_schema(self._database, may_write_users=self._may_write_users)
        except DatabaseMisconfigured as error:
            return error.reason
        except (DomainError, TimeoutError):
            return "the database does not answer"
        if schema.defect:
            return schema.defect
        if schema.state is SchemaState.BEHIND:
            return "the database's schema is behind: run `task-service migrate`"
        return None
