"""Chromium, the whole stack, and the people who use it: every test fails on an error that the browser reports."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Playwright, async_playwright, expect

from deploy.render_page import ARGUMENTS
from tests.browser.person import Person
from tests.support.frontend import Frontend, free_port, running_frontend
from tests.support.service import RunningService, running_service, service_settings
from tests.support.waiting import scaled

type Stack = tuple[Frontend, RunningService]
type Meet = Callable[..., Awaitable[Person]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
            item.add_marker(pytest.mark.timeout(300))


def chromium_program() -> str:
    """Return the path of Chromium; without it the test is skipped, or fails where nothing may be skipped."""
    program = shutil.which("chromium")
    if program is not None:
        return program
    reason = "Chromium is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
async def playwright(anyio_backend: str) -> AsyncIterator[Playwright]:  # noqa: ARG001 - its scope
    expect.set_options(timeout=scaled(5) * 1000)
    async with async_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
async def chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(executable_path=chromium_program(), args=ARGUMENTS)
    yield browser
    await browser.close()


@contextlib.asynccontextmanager
async def running_stack(
    database_url: str, *, service_options: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Stack]:
    """Serve the page and the service on this database, behind one origin.

    Args:
        database_url: Of both.
        service_options: Settings of the service.
        settings: Environment variables of the frontend.
    """
    port = free_port()
    verified = service_settings(
        database_url,
        better_auth_secret=None,
        better_auth_url=f"http://127.0.0.1:{port}",
        **(service_options or {}),
    )
    async with (
        running_service(verified) as service,
        running_frontend(database_url, port=port, **({"API_URL": service.url} | settings)) as frontend,
    ):
        yield frontend, service


@pytest.fixture(scope="session")
async def stack(shared_database_url: str) -> AsyncIterator[Stack]:
    """Shared by all tests that keep to users of their own."""
    async with running_stack(shared_database_url) as running:
        yield running


@pytest.fixture
async def meet(chromium: Browser, stack: Stack) -> AsyncIterator[Meet]:
    """Return a function that opens a browser of its own for a new person; see `Person.open`."""
    people: list[Person] = []

    async def meet(*, at: Frontend | None = None, **options: Any) -> Person:
        people.append(await Person.open(chromium, (at or stack[0]).url, **options))
        return people[-1]

    yield meet
    problems = [await person.close() for person in people]
    assert [each for each in problems if each] == []
