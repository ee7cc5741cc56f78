"""Plans of a statement for its values, where they decide which index is best."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from backend.platform.postgres.statement import CompiledStatement, Connection

if TYPE_CHECKING:
    from asyncpg import Record

__all__ = ["CUSTOM_PLAN", "CUSTOM_PLAN_SETTINGS", "plan_then_fetch"]

CUSTOM_PLAN_SETTINGS: Final[Mapping[str, str]] = {
    "plan_cache_mode": "force_custom_plan",
    "effective_cache_size": "8MB",
}
"""Plans for the values, as if no page were cached: a scan of many rows in list order then costs more than one of the few
that an index of the filter finds. The planner assumes that rows of a filter are spread evenly and that the scan ends soon.
"""

CUSTOM_PLAN: Final = "".join(f"SET LOCAL {name} = '{value}';" for name, value in CUSTOM_PLAN_SETTINGS.items())


async def plan_then_fetch(
    connection: Connection, plan: CompiledStatement, statement: CompiledStatement, values: dict[str, Any]
) -> "list[Record]":
    """Run a statement that sets `CUSTOM_PLAN_SETTINGS` for the user's shard, then the statement itself."""
    await plan.fetch(connection, values)
    return await statement.fetch(connection, values)
