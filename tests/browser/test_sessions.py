"""Sessions and tokens: several people, several tabs, expiry, cookies, clocks."""

import json
import time
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from playwright.async_api import Playwright, Request, Route, expect

from deploy.render_page import ARGUMENTS
from tests.browser.conftest import Meet, Stack, chromium_program
from tests.browser.person import Person
from tests.support.frontend import PASSWORD

WRONG_CLOCK = """
  const Right = Date;
  Date = class extends Right {
    constructor(...parts) { parts.length ? super(...parts) : super(Date.now()); }
    static now() { return Right.now() + MINUTES * 60_000; }
  };
"""


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
        [{"name": each["name"], "value": each["value"], "url": ada.url, "httpOnly": True} for each in cookies]
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


async def test_an_expired_token_is_replaced_before_it_is_used(meet: Meet) -> None:
    ada = await meet()
    await ada.page.clock.install()
    await ada.page.reload()
    await ada.sees()
    tokens = requests_for_tokens(ada)
    await ada.page.clock.fast_forward("03:50")  # of its 5 minutes; the last one is not used
    await ada.add("with the first token")
    await ada.sees("with the first token")
    assert tokens == []
    await ada.page.clock.fast_forward("00:10")
    await ada.add("with the second token")
    await ada.sees("with the second token", "with the first token")
    assert len(tokens) == 1


def requests_for_tokens(person: Person) -> list[str]:
    """Return a list that grows with the requests of the page for a token."""
    tokens: list[str] = []
    person.page.on(
        "request", lambda request: tokens.append(request.url) if "auth/token" in request.url else None
    )
    return tokens


async def test_a_new_token_that_is_rejected_too_ends_at_the_sign_in_page_without_a_loop(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    requests: list[str] = []
    ada.page.on(
        "request",
        lambda request: requests.append(request.url.rpartition("/")[2]) if "/api/" in request.url else None,
    )

    async def reject(route: Route) -> None:
        await route.fulfill(status=401)

    await ada.page.route("**/api/*/tasks*", reject)
    await ada.page.get_by_label("New task").fill("half typed")
    await ada.page.get_by_label("Search").fill("milk")
    await expect(ada.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(ada.page.get_by_label("E-mail")).to_be_focused()
    await ada.page.unroute("**/api/*/tasks*", reject)
    await ada.page.get_by_label("E-mail").fill(ada.email)
    await ada.page.get_by_label("Password", exact=True).fill(PASSWORD)
    assert requests == ["tasks?search=milk&limit=50", "token", "tasks?search=milk&limit=50"]
    await ada.page.get_by_role("button", name="Sign in").click()
    await ada.sees("Buy milk")
    await expect(ada.page.get_by_label("New task")).to_have_value("half typed")


async def test_an_open_editor_outlives_an_expired_session(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    page = ada.page
    await ada.title("Buy milk").click()
    await page.get_by_label("Notes").fill("two bottles, if there are any")
    await page.route("**/api/*/tasks*", lambda route: route.fulfill(status=401))
    await page.get_by_label("Search").fill("milk")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.unroute_all()
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Notes")).to_have_value("two bottles, if there are any")
    await page.get_by_role("button", name="Save").click()
    await expect(ada.task("Buy milk")).to_have_attribute("data-state", "saved")
    assert (await ada.api("GET"))["tasks"][0]["description"] == "two bottles, if there are any"


async def test_a_403_that_is_no_change_of_the_account_does_not_reload_the_page(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    loads: list[str] = []
    ada.page.on("load", lambda page: loads.append(page.url))
    await ada.page.route(
        "**/api/*/tasks*", lambda route: route.fulfill(status=403, json={"title": "Blocked"})
    )
    await ada.page.get_by_label("Search").fill("milk")
    await expect(ada.page.get_by_text("Blocked.")).to_be_visible()
    assert loads == []


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


@pytest.mark.parametrize("minutes", [-5, 5])
async def test_a_clock_that_is_wrong_changes_nothing(meet: Meet, minutes: int) -> None:
    ada = await meet()
    await ada.context.add_init_script(WRONG_CLOCK.replace("MINUTES", str(minutes)))
    await ada.page.reload()
    tokens = requests_for_tokens(ada)
    skew = await ada.page.evaluate("(now) => (new Date() - now) / 60_000", time.time() * 1000)
    assert abs(skew - minutes) < 2
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    await ada.edit("Buy milk", "Buy oat milk")
    await ada.sees("Buy oat milk")
    # The token of the page is still good: a browser that compares `exp` with its clock would ask for one each time.
    assert tokens == []
    assert await ada.titles() == ["Buy oat milk"]


async def test_rejected_cookies_are_explained(stack: Stack, playwright: Playwright, tmp_path: Path) -> None:
    """With the setting of Chromium that blocks all cookies, and the page's storage with them."""
    (tmp_path / "Default").mkdir()
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(settings))
    context = await playwright.chromium.launch_persistent_context(
        tmp_path, executable_path=chromium_program(), args=ARGUMENTS, base_url=stack[0].url
    )
    page = context.pages[0]
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto("/sign-up")
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_label("E-mail").fill(f"{uuid4().hex}@example.com")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("alert")).to_have_text(
        "Your browser rejects the cookie of this site. Allow its cookies and try again."
    )
    await context.close()
    assert errors == []
