"""What a sign-out sends and asks, and where the next sign-in leads."""

import pytest
from playwright.async_api import Dialog, Page, Route, expect

from tests.browser.conftest import Meet
from tests.browser.person import Person
from tests.support.frontend import PASSWORD
from tests.support.waiting import poll_until


async def sign_in(person: Person, page: Page | None = None) -> None:
    page = page or person.page
    await page.get_by_label("E-mail").fill(person.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


async def sign_out(page: Page) -> None:
    await page.get_by_role("link", name="Account of").click()
    await page.get_by_role("button", name="Sign out").click()


@pytest.mark.parametrize("in_other_tab", [False, True])
async def test_a_deletion_that_can_still_be_undone_is_sent_at_sign_out(
    meet: Meet, *, in_other_tab: bool
) -> None:
    ada = await meet()
    await ada.add("stays", "goes")
    await ada.sees("goes", "stays")
    tab = await ada.tab() if in_other_tab else ada.page
    async with ada.page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        await ada.page.get_by_role("button", name="Delete goes").click()
        await ada.sees("stays")
        await sign_out(tab)
    assert (await deleted.value).status == 204
    await expect(ada.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await sign_in(ada)
    await ada.sees("stays")


async def test_a_sign_out_asks_before_it_loses_what_was_not_saved(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    asked: list[str] = []
    accepts = False

    async def reply(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await (dialog.accept() if accepts else dialog.dismiss())

    async def refuse(route: Route) -> None:
        if route.request.method == "POST":
            await route.fulfill(status=503, headers={"Retry-After": "0"}, json={"title": "Busy"})
        else:
            await route.continue_()

    ada.page.on("dialog", reply)
    await ada.page.route("**/api/*/tasks", refuse)
    await ada.add("not saved")
    await expect(ada.task("not saved")).to_contain_text("Try again")
    await sign_out(ada.page)
    await poll_until(lambda: bool(asked), what="the page asks")
    await expect(ada.page.get_by_role("heading", name="Account", exact=True)).to_be_visible()
    await ada.page.get_by_role("link", name="Your tasks").click()
    await expect(ada.task("not saved")).to_be_visible()
    accepts = True
    await sign_out(ada.page)
    await expect(ada.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert asked == ["Some changes are not saved yet. Sign out and lose them?"] * 2


async def test_a_sign_in_leads_to_the_address_that_was_opened(meet: Meet) -> None:
    ada = await meet()
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    await sign_out(ada.page)
    await expect(ada.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await sign_in(ada)
    await expect(ada.page).to_have_url(f"{ada.url}/")  # not the account, where the sign-out was
    await sign_out(ada.page)
    await expect(ada.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await ada.page.goto("/?q=milk&status=pending")
    await sign_in(ada)
    await ada.sees("Buy milk")
    await expect(ada.page).to_have_url(f"{ada.url}/?q=milk&status=pending")


async def test_a_session_that_ends_keeps_the_filters_for_the_same_user_only(meet: Meet) -> None:
    ada, bob = await meet(expects_failures=True), await meet()
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    for person, address in ((ada, "/?q=milk"), (bob, "/")):
        await ada.page.goto("/?q=milk")
        await ada.sees("Buy milk")
        await ada.context.clear_cookies()
        await ada.page.route("**/api/*/tasks*", expired)
        await ada.page.get_by_label("Search").fill("mil")
        await expect(ada.page.get_by_text("Your session has ended.")).to_be_visible()
        await ada.page.unroute("**/api/*/tasks*", expired)
        await sign_in(person, ada.page)
        await expect(ada.page.get_by_label("New task")).to_be_visible()
        await expect(ada.page).to_have_url(f"{ada.url}{address.replace('milk', 'mil')}")


async def expired(route: Route) -> None:
    await route.fulfill(status=401, json={"title": "Unauthorized"})


async def test_a_browser_without_channels_between_tabs_still_shows_the_page(meet: Meet) -> None:
    """Firefox refuses them where all cookies are blocked."""
    ada = await meet(signed_up=False)
    await ada.context.add_init_script(
        "BroadcastChannel = class { constructor() { throw new DOMException('denied', 'SecurityError') } }"
    )
    await ada.page.goto("/sign-in")
    await expect(ada.page.get_by_role("heading", name="Sign in")).to_be_visible()
