"""Sessions and tokens: several people, several tabs, expiry, cookies, clocks."""

import asyncpg
from playwright.async_api import Request, Route, expect

from tests.browser.conftest import Meet, running_stack
from tests.support.frontend import PASSWORD


async def test_people_see_their_own_tasks_only(meet: Meet) -> None:
    ada, bob = await meet(), await meet()
    await ada.add("a secret of Ada")
    await ada.sees("a secret of Ada")
    await bob.add("a plan of Bob")
    await bob.sees("a plan of Bob")
    await ada.page.reload()
    await ada.sees("a secret of Ada")


async def test_another_account_in_another_tab_replaces_the_list(meet: Meet) -> None:
    ada = await meet()
    await ada.add("a secret of Ada")
    await ada.sees("a secret of Ada")
    bob = await meet()
    tab = await ada.tab()
    await tab.get_by_role("link", name="Account of").click()
    await tab.get_by_role("button", name="Sign out").click()
    await expect(ada.page.get_by_role("heading", name="Sign in")).to_be_visible()  # at once, in both tabs
    await tab.get_by_label("E-mail").fill(bob.email)
    await tab.get_by_label("Password", exact=True).fill(PASSWORD)
    await tab.get_by_role("button", name="Sign in").click()
    await expect(tab.get_by_role("heading", name="A clear head starts here")).to_be_visible()
    await ada.page.reload()
    await expect(ada.page.get_by_role("heading", name="A clear head starts here")).to_be_visible()


async def test_a_token_of_another_account_reloads_the_page(meet: Meet) -> None:
    ada, bob = await meet(expects_failures=True), await meet()
    await ada.add("a secret of Ada")
    await ada.sees("a secret of Ada")
    cookies = [each for each in await bob.context.cookies() if "session_token" in (each.get("name") or "")]
    await ada.context.clear_cookies()
    await ada.context.add_cookies(
        [{"name": each["name"], "value": each["value"], "url": ada.url} for each in cookies]
    )
    first = True

    async def unauthorized_once(route: Route) -> None:
        nonlocal first
        if first:
            first = False
            await route.fulfill(status=401)
        else:
            await route.continue_()

    await ada.page.route("**/api/*/tasks*", unauthorized_once)
    await ada.add("typed by Bob")
    # The next token is Bob's, for which the path of Ada is 403.
    await expect(ada.page.get_by_role("heading", name="A clear head starts here")).to_be_visible()


async def test_a_rejected_token_is_replaced_once_and_the_request_repeated(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    tokens: list[Request] = []
    ada.page.on("request", lambda request: tokens.append(request) if "auth/token" in request.url else None)
    rejected: list[str] = []

    async def reject_first(route: Route) -> None:
        if route.request.method == "POST" and not rejected:
            rejected.append(route.request.headers["authorization"])
            await route.fulfill(status=401)
        else:
            await route.continue_()

    await ada.page.route("**/api/*/tasks", reject_first)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    assert len(rejected) == len(tokens) == 1
    assert await ada.titles() == ["Buy milk"]


async def test_an_expired_token_is_replaced_before_it_is_used(meet: Meet, database_url: str) -> None:
    async with running_stack(database_url, TOKEN_SECONDS="2") as (frontend, _):
        ada = await meet(at=frontend)
        tokens: list[str] = []
        ada.page.on(
            "request", lambda request: tokens.append(request.url) if "auth/token" in request.url else None
        )
        # 1.6 s of its 2 s.
        await ada.page.wait_for_timeout(1700)
        await ada.add("Buy milk")
        await ada.sees("Buy milk")
        assert len(tokens) == 1


async def test_a_session_that_has_ended_keeps_what_was_typed(meet: Meet, shared_database_url: str) -> None:
    ada = await meet(expects_failures=True)
    connection = await asyncpg.connect(shared_database_url)
    await connection.execute('DELETE FROM session WHERE "userId" = $1', ada.id)
    await connection.close()
    page = ada.page

    async def expired(route: Route) -> None:
        await route.fulfill(status=401)

    await page.route("**/api/*/tasks", expired)
    await ada.add("typed before the sign-in")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_text("what you typed is kept")).to_be_visible()
    await page.unroute("**/api/*/tasks", expired)
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await ada.sees("typed before the sign-in")
    assert await ada.titles() == ["typed before the sign-in"]


async def test_a_clock_that_is_wrong_changes_nothing(meet: Meet) -> None:
    ada = await meet()
    for minutes in (-5, 5):
        await ada.context.add_init_script(
            f"const now = Date.now; Date.now = () => now() + {minutes} * 60_000;"
        )
        await ada.page.reload()
        await ada.add(f"{minutes} minutes")
        await expect(ada.task(f"{minutes} minutes")).to_have_attribute("data-state", "saved")


async def test_rejected_cookies_are_explained(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.context.clear_cookies()
    await ada.page.goto("/sign-in")
    await ada.page.get_by_label("E-mail").fill(ada.email)
    await ada.page.get_by_label("Password", exact=True).fill(PASSWORD)

    async def drop(route: Route) -> None:
        answer = await route.fetch()
        await ada.context.clear_cookies()  # `fetch` has stored the response's
        headers = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        await route.fulfill(status=answer.status, headers=headers, body=await answer.body())

    await ada.page.route("**/api/auth/sign-in/email", drop)
    await ada.page.get_by_role("button", name="Sign in").click()
    await expect(ada.page.get_by_role("alert")).to_contain_text("rejects the cookie")
