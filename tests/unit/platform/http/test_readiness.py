"""Readiness: which states of the database take a worker out of service, and how often the database is asked."""

from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from backend.config import Settings
from backend.db.schema import SCHEMA
from backend.main import _ops_app
from backend.platform.errors import DatabaseMisconfigured, DatabaseTimeout, DatabaseUnavailable
from backend.platform.http import readiness as module
from backend.platform.http.readiness import Readiness
from backend.platform.postgres.database import Database
from backend.platform.postgres.schema import SchemaState
from backend.platform.postgres.schema_inspection import DatabaseSchema
from backend.platform.server.drain import Drain, shutdown_flag
from tests.support.asgi import call
from tests.support.service import SECRET

CURRENT = DatabaseSchema(SCHEMA.head_revision, SchemaState.CURRENT)
BEHIND = DatabaseSchema(None, SchemaState.BEHIND)


class Checks:
    """Replaces the probe of the database: returns or raises `result`, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, mode: str = "strict") -> None:
        self.result: Any = CURRENT
        self.is_saturated = False
        self.count = 0
        self.now = 0.0
        values: dict[str, Any] = {"readiness_database_check": mode, "readiness_cache_seconds": 30}
        settings = Settings(better_auth_secret=SECRET, **values)
        monkeypatch.setattr(module, "probe_schema", self.probe)
        monkeypatch.setattr(module, "is_saturated", lambda _database: self.is_saturated)
        self.readiness = Readiness(
            cast("Database", None),
            SCHEMA,
            Drain(Path("/nowhere/draining")),
            settings,
            may_write_users=True,
            clock=lambda: self.now,
        )

    async def probe(self, *_arguments: object, **_options: object) -> DatabaseSchema:
        self.count += 1
        if isinstance(self.result, Exception):
            raise self.result
        assert isinstance(self.result, DatabaseSchema)
        return self.result


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (CURRENT, None),
        (DatabaseSchema("later", SchemaState.AHEAD), None),
        (BEHIND, "the database's schema is behind: run `task-service migrate`"),
        (DatabaseSchema(None, SchemaState.CURRENT, "a defect"), "a defect"),
        (DatabaseMisconfigured("no such role"), "no such role"),
        (DatabaseUnavailable("away"), "the database does not answer"),
        (DatabaseTimeout("late"), "the database does not answer"),
        (TimeoutError(), "the database does not answer"),
    ],
)
async def test_reason_follows_from_the_database(
    monkeypatch: pytest.MonkeyPatch, result: Any, reason: str | None
) -> None:
    checks = Checks(monkeypatch)
    checks.result = result
    assert await checks.readiness.not_ready_reason() == reason


async def test_exhausted_pool_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch)
    checks.is_saturated, checks.result = True, BEHIND
    assert (await checks.readiness.not_ready_reason(), checks.count) == (None, 0)


@pytest.mark.parametrize(("mode", "count"), [("strict", 3), ("cached", 2), ("off", 0)])
async def test_success_is_cached_for_its_time(monkeypatch: pytest.MonkeyPatch, mode: str, count: int) -> None:
    checks = Checks(monkeypatch, mode)
    for now in (0, 29, 30):
        checks.now = now
        assert await checks.readiness.not_ready_reason() is None
    assert checks.count == count


async def test_failure_is_never_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch, "cached")
    checks.result = BEHIND
    assert await checks.readiness.not_ready_reason() is not None
    checks.result = CURRENT
    assert await checks.readiness.not_ready_reason() is None


async def test_reason_is_logged_once_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch)
    with capture_logs() as entries:
        for result in (BEHIND, BEHIND, TimeoutError(), CURRENT, TimeoutError()):
            checks.result = result
            await checks.readiness.not_ready_reason()
    assert [entry["reason"].split(":")[0] for entry in entries] == [
        "the database's schema is behind",
        "the database does not answer",
        "the database does not answer",
    ]


async def test_drain_needs_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch)
    monkeypatch.setattr(shutdown_flag, "is_set", True)
    assert (await checks.readiness.not_ready_reason(), checks.count) == ("draining", 0)


async def test_probe_responds_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch)
    app = _ops_app()
    app.state.readiness = checks.readiness
    ready = await call(app, "GET", "/readyz")
    assert (ready.status, ready.json()) == (200, {"status": "ready"})
    checks.result = TimeoutError()
    not_ready = await call(app, "GET", "/readyz")
    assert (not_ready.status, not_ready.json()["reason"]) == (503, "the database does not answer")
    # Liveness ignores the database: an outage must not restart pods.
    assert (await call(app, "GET", "/livez")).status == 200


async def test_weak_commit_is_logged_once_and_does_not_make_a_worker_unready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks = Checks(monkeypatch)
    checks.result = DatabaseSchema(SCHEMA.head_revision, SchemaState.CURRENT, synchronous_commit="local")
    with capture_logs() as logs:
        assert [await checks.readiness.not_ready_reason() for _ in range(2)] == [None, None]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("writes are not durable", "warning")]
    assert logs[0]["reason"].startswith("synchronous_commit is local:")
