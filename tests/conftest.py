"""Fixtures for every test; PostgreSQL starts only for those that ask for it."""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from backend.config import Settings
from backend.platform.settings import environment
from tests.support.database import Server, run_server
from tests.support.service import RunningService, User, running_service, service_settings
from tests.support.tls_contexts import share_tls_contexts
from tests.support.waiting import FACTOR_VARIABLE, calibrate, scaled

# The tests ignore a developer's configuration, except a configured server.
SERVER_URL = os.environ.get("DATABASE_URL")
environment.ENV_FILE = None
# Without stored bytecode each process of a test compiles every library for itself, which takes seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
calibrate()
share_tls_contexts()


pytest_plugins = ["tests.support.failure_report", "tests.support.run_guard"]


def pytest_report_header() -> str:
    return f"time-outs: {FACTOR_VARIABLE}={os.environ[FACTOR_VARIABLE]}"


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.config.getoption("timeout") is None:
        mark = item.get_closest_marker("timeout")
        seconds = mark.args[0] if mark else float(item.config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(scaled(seconds)), append=False)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long modules: a long one at the end would leave the other processes of the run without work."""
    items.sort(key=lambda item: "unit" in item.path.parts)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def unmeasured_processes() -> Iterator[None]:
    """Start processes without coverage, which doubles the CPU time of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    # Not pytest's directory: only its owner may enter it, and as root PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="task-service-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def server_url() -> str | None:
    """The URL of a server to use instead of an embedded one."""
    return SERVER_URL


@pytest.fixture(scope="session")
async def migrated_server(
    anyio_backend: str,  # noqa: ARG001 - its scope
    postgres_folder: Path,
    server_url: str | None,
) -> AsyncIterator[tuple[Server, str]]:
    async with run_server(postgres_folder / "data", server_url) as server_and_template:
        yield server_and_template


@pytest.fixture
async def database_url(migrated_server: tuple[Server, str]) -> AsyncIterator[str]:
    """A fresh database with the schema."""
    server, template = migrated_server
    async with server.database(template) as url:
        yield url


@pytest.fixture
async def empty_database_url(migrated_server: tuple[Server, str]) -> AsyncIterator[str]:
    """A fresh database without any table."""
    async with migrated_server[0].database("template0") as url:
        yield url


@pytest.fixture(scope="session")
async def shared_database_url(migrated_server: tuple[Server, str]) -> AsyncIterator[str]:
    """A database for all tests that keep to users of their own."""
    server, template = migrated_server
    async with server.database(template) as url:
        yield url


@pytest.fixture(scope="session")
async def service(shared_database_url: str) -> AsyncIterator[RunningService]:
    """The service over a socket, shared by all tests that keep to users of their own."""
    async with running_service(service_settings(shared_database_url)) as running:
        yield running


@pytest.fixture
async def connection(shared_database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to the shared service's database."""
    connection = await asyncpg.connect(shared_database_url)
    yield connection
    connection.terminate()  # a router of shards would not close it


@pytest.fixture
async def alice(service: RunningService) -> AsyncIterator[User]:
    """A user whom no other test knows."""
    async with service.user() as user:
        yield user


@pytest.fixture
async def bob(service: RunningService) -> AsyncIterator[User]:
    """Another one."""
    async with service.user() as user:
        yield user
