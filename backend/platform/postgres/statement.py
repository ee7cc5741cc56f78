"""Compiled statements: a typed SQLAlchemy expression, compiled once, run on a bare asyncpg connection."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import BindParameter, bindparam
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from backend.platform.observability.metrics import observe_statement
from backend.platform.observability.tracing import statement_span

if TYPE_CHECKING:
    from asyncpg import Record
    from sqlalchemy.sql import ClauseElement

__all__ = ["CompiledStatement", "Connection", "parameter"]

_DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


class Connection(Protocol):
    """The part of an asyncpg connection that a statement uses, pooled or not."""

    async def fetch(self, query: str, *args: Any) -> list[Record]:
        """Run the query and return its rows."""


def parameter(name: str, type_: Any) -> BindParameter[Any]:
    """Return a parameter of a statement. Each call of `fetch` needs a value for it.

    Args:
        name: The name under which `CompiledStatement.fetch` gets the value.
        type_: SQLAlchemy type, such as that of the column (`TABLE.c.title.type`).
    """
    return bindparam(name, type_=type_, required=True)


class CompiledStatement:
    """SQL with its parameters in order.

    The expression is compiled once, at import or on first use. Through SQLAlchemy's engine the same
    statement takes two to four times as long (docs/decisions/0004-statements-on-asyncpg.md).

    Args:
        name: Describes the statement, such as `select tasks`; the label of its span and metric.
        expression: The statement; each varying value is a `parameter`.
    """

    __slots__ = ("_constants", "_parameters", "expression", "name", "sql")

    def __init__(self, name: str, expression: ClauseElement) -> None:
        compiled: Any = expression.compile(dialect=_DIALECT)
        self.expression = expression
        self.name = name
        self.sql: str = compiled.string
        self._parameters: tuple[str, ...] = tuple(compiled.positiontup)
        self._constants: dict[str, Any] = {
            name: compiled.binds[name].value for name in self._parameters if not compiled.binds[name].required
        }

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the values that `fetch` needs."""
        return frozenset(self._parameters) - self._constants.keys()

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """Return the arguments of the SQL in the order of their numbers.

        Args:
            values: A value for each of `parameters`.
        """
        if self._constants:
            values = self._constants | values
        return [values[name] for name in self._parameters]

    async def fetch(self, connection: Connection, values: dict[str, Any]) -> list[Record]:
        """Run the statement.

        Args:
            connection: The connection to run it on.
            values: A value for each of `parameters`.

        Returns:
            The rows.

        Raises:
            asyncpg.PostgresError, OSError, TimeoutError: Errors of asyncpg, untranslated.
        """
        arguments = self.arguments(values)
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
