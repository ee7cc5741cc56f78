"""The page during an outage of a part of the stack shows the reason and loses nothing. Servers and databases really stop."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import Meet, Stack, running_stack
from tests.support.database import Server
from tests.support.frontend import PASSWORD, database_name, free_port, running_frontend
from tests.support.reverse_proxies import run_reverse_proxy


async def test_an_outage_of_the_database_is_survived(
    meet: Meet, database_url: str, migrated_server: tuple[Server, str]
) -> None:
    server, name = migrated_server[0], database_name(database_url)
    async with running_stack(database_url) as (frontend, _):
        ada = await meet(at=frontend, expects_failures=True)
        await ada.add("before")
        await ada.sees("before")
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 - made by the fixture
        )
        tab = await ada.tab()
        await expect(tab.get_by_text("You are still signed in")).to_be_visible()
        await ada.add("meanwhile")
        await expect(ada.task("meanwhile")).to_contain_text("Not saved")
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await expect(tab.locator(".task")).to_have_count(1)
        await ada.page.get_by_role("button", name="Try again").click()
        await ada.sees("meanwhile", "before")
        assert await ada.titles() == ["meanwhile", "before"]


async def unauthorized(route: Route) -> None:
    await route.fulfill(status=401)


@contextlib.asynccontextmanager
async def role(server: Server, name: str) -> AsyncIterator[None]:
    """A role of the database that only the frontend connects as."""
    await server.execute(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD 'for tests'")
    try:
        yield
    finally:
        await server.execute(f"DROP ROLE {name}")


async def test_an_outage_of_the_auth_database_ends_no_session(
    meet: Meet, database_url: str, migrated_server: tuple[Server, str]
) -> None:
    server, name = migrated_server[0], f"web_{database_name(database_url)}"
    address = urlsplit(database_url)
    own = address._replace(netloc=f"{name}:for%20tests@{address.netloc.rpartition('@')[2]}").geturl()
    settings: dict[str, Any] = {"DATABASE_URL": own, "DATABASE_MIGRATION_URL": database_url}
    async with role(server, name), running_stack(database_url, **settings) as (frontend, _):
        ada = await meet(at=frontend, expects_failures=True)
        bob = await meet(at=frontend, expects_failures=True, signed_up=False)
        await bob.page.goto("/sign-in")
        await server.execute(f"ALTER ROLE {name} NOLOGIN")
        await server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'"  # noqa: S608 - made by this test
        )
        await ada.add("with the token that is left")
        await ada.sees("with the token that is left")

        await ada.page.route("**/api/*/tasks", unauthorized)
        await ada.add("needs another token")
        await expect(ada.task("needs another token")).to_contain_text("Not saved. The service is busy")
        await ada.page.unroute("**/api/*/tasks", unauthorized)
        tab = await ada.tab()
        await expect(tab.get_by_text("You are still signed in")).to_be_visible()
        await bob.page.get_by_label("E-mail").fill(ada.email)
        await bob.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await bob.page.get_by_role("button", name="Sign in").click()
        await expect(bob.page.get_by_role("alert")).to_have_text("The service is busy or being restarted.")

        await server.execute(f"ALTER ROLE {name} LOGIN")
        await expect(tab.locator(".task")).to_have_count(1)
        await ada.page.get_by_role("button", name="Try again").click()
        await ada.sees("needs another token", "with the token that is left")
        await bob.page.get_by_role("button", name="Sign in").click()
        await expect(bob.page.locator(".task")).to_have_count(2)
        assert len(await ada.titles()) == 2


async def test_an_unreachable_key_set_is_no_sign_out(meet: Meet, database_url: str) -> None:
    key_port = free_port()  # nothing listens there yet
    options = {"better_auth_jwks_url": f"http://127.0.0.1:{key_port}/api/auth/jwks"}
    async with running_stack(database_url, service_options=options) as (frontend, _):
        ada = await meet(at=frontend, expects_failures=True, signed_up=False)
        page = ada.page
        await page.goto("/sign-up")
        await page.get_by_label("Name").fill("Ada Lovelace")
        await page.get_by_label("E-mail").fill(ada.email)
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Create account").click()
        await expect(
            page.get_by_text("The service is busy or being restarted. Trying again …")
        ).to_be_visible()
        await ada.add("meanwhile")
        await expect(ada.task("meanwhile")).to_contain_text("Not saved")

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream, downstream = await asyncio.open_connection("127.0.0.1", urlsplit(frontend.url).port)
            await asyncio.gather(_copy(reader, downstream), _copy(upstream, writer))

        async with await asyncio.start_server(forward, "127.0.0.1", key_port):
            # The list is asked for again by itself, and what failed is sent with it.
            await ada.sees("meanwhile")
            await expect(page.get_by_text("Trying again")).to_have_count(0)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_a_server_that_is_gone_is_told_and_waited_for(meet: Meet, database_url: str) -> None:
    async with running_stack(database_url) as (frontend, service):
        ada = await meet(at=frontend, expects_failures=True)
        await ada.add("before")
        await ada.sees("before")
        await frontend.stop()
        await ada.page.get_by_role("checkbox", name="before").check()
        await expect(ada.task("before")).to_contain_text("Not saved. The server cannot be reached.")
        await expect(ada.page.get_by_role("checkbox", name="before")).to_be_checked()
        await ada.page.get_by_label("Search").fill("e")
        await expect(
            ada.page.get_by_text("cannot be reached. Check your connection. Trying again")
        ).to_be_visible()
        port = urlsplit(frontend.url).port
        assert port is not None
        async with running_frontend(database_url, port=port, API_URL=service.url, migrated=False):
            await ada.sees("before")
            await expect(ada.page.get_by_text("Trying again")).to_have_count(0)
            assert (await ada.api("GET"))["tasks"][0]["completed"] is True


async def test_a_compressing_proxy_makes_entity_tags_weak_and_edits_still_save(
    meet: Meet, database_url: str, tmp_path: Path
) -> None:
    proxy_port = free_port()
    async with running_stack(database_url, API_URL=f"http://127.0.0.1:{proxy_port}") as (frontend, service):
        service_port = urlsplit(service.url).port
        assert service_port is not None
        async with run_reverse_proxy("nginx that compresses", tmp_path, service_port, port=proxy_port):
            ada = await meet(at=frontend)
            tags: list[str | None] = []
            ada.page.on(
                "response",
                lambda response: (
                    tags.append(response.headers.get("etag"))
                    if re.search(r"/tasks/\d+$", response.url) and response.request.method == "GET"
                    else None
                ),
            )
            await ada.add("Buy milk")
            await ada.sees("Buy milk")
            await ada.edit("Buy milk", "Buy oat milk")
            await ada.sees("Buy oat milk")
            assert tags == ['W/"v1"']
            stored = (await ada.api("GET"))["tasks"][0]
            await ada.title("Buy oat milk").click()
            await ada.api("PATCH", f"/{stored['id']}", {"title": "Buy soy milk"})
            await ada.page.get_by_label("Title").fill("Buy almond milk")
            await ada.page.get_by_label("Title").press("Enter")
            await expect(ada.page.get_by_role("group", name="Changed elsewhere")).to_be_visible()


@pytest.mark.parametrize("kind", ["js", "css"])
async def test_assets_of_another_release_reload_the_page(meet: Meet, kind: str) -> None:
    """During a rollout a page of one release can ask a replica of the other one for its assets."""
    ada = await meet(expects_failures=True)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    asked = 0

    async def of_another_release(route: Route) -> None:
        nonlocal asked
        asked += 1
        other = f"{ada.url}/assets/index-other.{kind}"
        await route.continue_(url=other if asked <= 2 else None)

    await ada.page.route(f"**/assets/*.{kind}", of_another_release)
    await ada.page.goto("/?status=pending")
    await ada.sees("Buy milk")
    assert asked == 3
    assert await ada.page.evaluate("document.styleSheets.length") == 1
    await expect(ada.page).to_have_url(f"{ada.url}/?status=pending")
    ada.problems[:] = [each for each in ada.problems if "index-other" not in each and "MIME type" not in each]


async def test_a_flood_of_sign_ups_is_limited_and_leaves_the_api_alone(meet: Meet, stack: Stack) -> None:
    ada, eve = await meet(), await meet(expects_failures=True, signed_up=False)
    await eve.page.goto("/sign-up")
    await eve.page.get_by_label("Name").fill("Eve")
    await eve.page.get_by_label("E-mail").fill(eve.email)
    await eve.page.get_by_label("Password", exact=True).fill(PASSWORD)
    count = 30

    async def sign_up(number: int) -> int:
        answer = await eve.context.request.post(
            "/api/auth/sign-up/email",
            data={"name": "Eve", "email": f"{number}-{eve.email}", "password": PASSWORD},
            headers={"Origin": stack[0].url},
        )
        return answer.status

    flood = asyncio.gather(*(sign_up(number) for number in range(count)))
    await ada.add("during the flood", "and another")
    await ada.sees("and another", "during the flood")
    statuses = await flood
    assert set(statuses) == {200, 429}, statuses
    assert statuses.count(429) > count / 2
    await eve.context.clear_cookies()
    await eve.page.get_by_role("button", name="Create account").click()
    await expect(eve.page.get_by_role("alert")).to_have_text(
        re.compile(r"Too many attempts\. Try again in \d+ seconds\.")
    )
    await expect(eve.page.get_by_label("E-mail")).to_have_value(eve.email)
