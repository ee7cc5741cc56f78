"""A name lookup may outlive the connect that started it, as with Docker's DNS while the database is down."""

import asyncio
import gc

import pytest
import uvloop

from backend.platform.postgres.database import Database
from backend.platform.server.event_loop import install_exception_handler
from tests.support.service import service_settings


def test_abandoned_name_lookup_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    settings = service_settings("postgresql://somebody@nowhere.invalid/tasks", database_pool_prewarm_size=0)

    async def nothing(_connection: object) -> None: ...

    async def give_up() -> None:
        install_exception_handler()
        database = Database(settings)
        await database.start()
        for turns in range(20):  # some of them in the midst of the lookup
            waiting = asyncio.create_task(database.transaction(nothing))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        await asyncio.sleep(0.5)  # the lookups end in threads that nothing can be asked about
        await database.stop()
        gc.collect()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as in production
        runner.run(give_up())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
