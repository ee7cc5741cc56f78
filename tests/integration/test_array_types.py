"""asyncpg knows every type of the service's statements before the first transaction, as a router of shards requires."""

from typing import Any

import pytest

from backend.platform.postgres.connection import open_connection
from backend.platform.postgres.connection_parameters import PoolerSetting
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.session_types import register_types
from tests.architecture.test_isolation import request_statements


@pytest.mark.parametrize(("pooler", "reads_catalog"), [("spqr", False), ("none", True)])
async def test_no_statement_makes_the_driver_read_the_catalog(
    shared_database_url: str, pooler: PoolerSetting, *, reads_catalog: bool
) -> None:
    parameters = parse_dsn(shared_database_url, pooler=pooler)
    connection = await open_connection(parameters, timeout_seconds=60)
    await register_types(connection, parameters.pooler)
    queries: list[str] = []

    def record(query: Any) -> None:
        queries.append(query.query)

    connection.add_query_logger(record)
    for statement in request_statements():
        await connection.prepare(statement.sql)
    await connection.close()
    assert any("typeinfo_tree" in query for query in queries) is reads_catalog
