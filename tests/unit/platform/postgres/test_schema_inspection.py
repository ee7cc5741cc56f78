"""The verdict on a database, from prepared rows of the system catalogs."""

from typing import Any

import pytest

from backend.db.schema import SCHEMA
from backend.platform.postgres import schema_inspection
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.schema import SchemaState
from backend.platform.postgres.schema_inspection import DatabaseSchema, inspect_schema, inspect_schema_at
from tests.support.fakes import FakeConnection

HEAD = SCHEMA.head_revision
GRANT = "GRANT INSERT ON tasks TO web"


def connection_with(*revisions: str, **facts: Any) -> FakeConnection:
    defaults = {
        "encoding": "UTF8",
        "synchronous_commit": "on",
        "has_version_table": bool(revisions),
        "missing_tables": [],
        "missing_columns": [],
        "missing_grants": [],
        "missing_usage": [],
    }
    return FakeConnection([defaults | facts], [(each,) for each in revisions])


async def inspect(*revisions: str, **facts: Any) -> DatabaseSchema:
    return await inspect_schema(connection_with(*revisions, **facts), SCHEMA)


@pytest.mark.parametrize(
    ("revisions", "revision", "state", "foreign"),
    [
        ((), None, SchemaState.BEHIND, ()),
        ((HEAD,), HEAD, SchemaState.CURRENT, ()),
        (("later",), "later", SchemaState.AHEAD, ()),
        ((HEAD, "other"), HEAD, SchemaState.CURRENT, ("other",)),
        (("other", HEAD), HEAD, SchemaState.CURRENT, ("other",)),
        (("other", "another"), "other", SchemaState.AHEAD, ("another",)),
    ],
)
async def test_own_revision_is_found_among_others(
    revisions: tuple[str, ...], revision: str | None, state: SchemaState, foreign: tuple[str, ...]
) -> None:
    found = await inspect(*revisions)
    assert (found.revision, found.state, found.foreign_revisions, found.defect) == (
        revision,
        state,
        foreign,
        None,
    )


@pytest.mark.parametrize("revisions", [(), (HEAD,)])
async def test_other_encoding_is_a_defect_before_and_after_the_migration(revisions: tuple[str, ...]) -> None:
    found = await inspect(*revisions, encoding="SQL_ASCII")
    assert (found.migration_defect or "").startswith("the database has the encoding SQL_ASCII")


@pytest.mark.parametrize("revision", [HEAD, "later"])
async def test_missing_table_or_column_is_named(revision: str) -> None:
    found = await inspect(revision, missing_tables=["tasks", "keys"], missing_columns=["tasks.title"])
    assert f"is at {revision!r}, but the database has no table tasks and no table keys:" in (
        found.defect or ""
    )
    found = await inspect(revision, missing_columns=["tasks.a", "tasks.b"])
    assert "has no column tasks.a and no column tasks.b: restore" in (found.defect or "")


async def test_tables_are_not_missing_before_the_first_migration() -> None:
    assert (await inspect(missing_tables=["tasks"], missing_columns=["tasks.title"])).defect is None


@pytest.mark.parametrize(("revisions", "is_defect"), [((HEAD,), True), (("later",), True), ((), False)])
async def test_missing_grants_are_a_defect_after_the_migration(
    revisions: tuple[str, ...], *, is_defect: bool
) -> None:
    found = await inspect(*revisions, missing_grants=[GRANT, "GRANT SELECT ON keys TO web"])
    assert found.migration_defect is None
    expected = f"run as the tables' owner: {GRANT}; GRANT SELECT ON keys TO web"
    assert (found.defect is not None) == is_defect
    assert found.defect is None or found.defect.endswith(expected)


async def test_missing_usage_hides_the_other_grants() -> None:
    found = await inspect(missing_usage=["GRANT USAGE ON SCHEMA public TO web"], missing_grants=[GRANT])
    assert found.missing_grants == ("GRANT USAGE ON SCHEMA public TO web",)


async def test_unreadable_version_table_is_reported_without_reading_it() -> None:
    grant = "GRANT SELECT ON alembic_version TO web"
    connection = connection_with(HEAD, missing_grants=[grant])
    found = await inspect_schema(connection, SCHEMA)
    assert len(connection.queries) == 1
    assert (found.revision, found.state, found.missing_grants) == (None, SchemaState.BEHIND, (grant,))
    assert grant in (found.defect or "")


@pytest.mark.parametrize(
    ("value", "is_weak"),
    [("off", True), ("local", True), ("remote_write", True), ("on", False), ("remote_apply", False)],
)
async def test_commit_that_a_failover_can_lose_is_a_warning(value: str, *, is_weak: bool) -> None:
    found = await inspect(HEAD, synchronous_commit=value)
    assert found.defect is None
    assert (found.durability_warning is not None) == is_weak
    assert not is_weak or f"synchronous_commit is {value}:" in (found.durability_warning or "")


@pytest.mark.parametrize(("pooler", "end"), [("spqr", "terminate"), ("none", "close")])
async def test_router_of_shards_is_not_waited_for_at_the_end(
    monkeypatch: pytest.MonkeyPatch, pooler: Any, end: str
) -> None:
    ends: list[str] = []

    class Connection(FakeConnection):
        def terminate(self) -> None:
            ends.append("terminate")

        async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's signature
            assert timeout == 1.0
            ends.append("close")

    async def open_connection(*_arguments: Any, **_options: Any) -> FakeConnection:
        connection = Connection()
        connection.results = connection_with(HEAD).results
        return connection

    monkeypatch.setattr(schema_inspection, "open_connection", open_connection)
    found = await inspect_schema_at(parse_dsn("postgresql://a/tasks", pooler=pooler), SCHEMA)
    assert (found.revision, ends) == (HEAD, [end])
