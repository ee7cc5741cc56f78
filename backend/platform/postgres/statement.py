"""A statement: a typed SQLAlchemy expression, compiled once, run on a bare asyncpg connection."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from backend.platform.observability.metrics import observe_statement
from backend.platform.observability.tracing import statement_span

if TYPE_CHECKING:
    from asyncpg import Record
    from sqlalchemy.sql import ClauseElement

__all__ = ["Connection", "Statement"]

_DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


class Connection(Protocol):
    """What a statement needs of an asyncpg connection, pooled or not."""

    async def fetch(self, query: str, *args: Any) -> list[Record]:
        """Run the query and return its rows."""


class Statement:
    """SQL with its parameters in order.

    Compiling at import costs a request nothing; through SQLAlchemy's engine the same statement
    takes twice to four times the time (docs/decisions/0004-statements-on-asyncpg.md).

    Args:
        name: What the statement does, such as `select tasks`; the span and the metric carry it.
        expression: The statement; what varies is a `bindparam` with a name of its own.
    """

    __slots__ = ("_constants", "_parameters", "name", "sql")

    def __init__(self, name: str, expression: ClauseElement) -> None:
        compiled: Any = expression.compile(dialect=_DIALECT)
        self.name = name
        self.sql: str = compiled.string
        self._parameters: tuple[str, ...] = tuple(compiled.positiontup)
        self._constants: dict[str, Any] = {
            name: compiled.binds[name].value for name in self._parameters if not compiled.binds[name].required
        }

    @property
    def parameters(self) -> frozenset[str]:
        """The names that `fetch` must be given."""
        return frozenset(self._parameters) - self._constants.keys()

    async def fetch(self, connection: Connection, values: dict[str, Any]) -> list[Record]:
        """Run the statement.

        Args:
            connection: Where to run it.
            values: A value for each of `parameters`.

        Returns:
            The rows.

        Raises:
            asyncpg.PostgresError, OSError, TimeoutError: As asyncpg does.
        """
        values = self._constants | values
        arguments = [values[name] for name in self._parameters]
        started = perf_counter()
        error: str | None = None
        try:
            with statement_span(self.name, self.sql):
                return await connection.fetch(self.sql, *arguments)
        except BaseException as exception:
            error = getattr(exception, "sqlstate", None) or type(exception).__name__
            raise
        finally:
            observe_statement(self.name, perf_counter() - started, error)
