"""Everyone can use it: axe, zoom, small screens, reduced motion; see test_keyboard.py, too."""

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Meet, running_stack
from tests.browser.person import with_boot

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


async def violations(page: Page) -> list[str]:
    """Return what axe finds, as rule and element."""
    await page.evaluate("document.getAnimations().forEach((each) => each.finish())")
    await page.evaluate(AXE.read_text())
    found: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(meet: Meet, scheme: Literal["light", "dark"]) -> None:
    ada = await meet(expects_failures=True, color_scheme=scheme)
    page = ada.page
    assert await violations(page) == [], "empty list"
    await ada.add("Call Mum", "Buy milk")
    await ada.sees("Buy milk", "Call Mum")
    fields = {"due": "2020-01-01", "priority": "high", "tags": ["home"]}
    for task in (await ada.api("GET"))["tasks"]:
        await ada.api("PATCH", f"/{task['id']}", fields)
    await page.reload()
    await ada.sees("Buy milk", "Call Mum")
    await page.goto("/?tag=home&priority=high")
    await expect(page.get_by_role("button", name="#home: show all tags")).to_be_visible()
    assert await violations(page) == [], "filters"
    await page.goto("/?q=nothing+like+this")
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    assert await violations(page) == [], "nothing found"
    await page.goto("/")
    await page.get_by_role("checkbox", name="Call Mum").check()
    await page.get_by_role("button", name="Delete Buy milk").hover()
    assert await violations(page) == [], "list"
    await ada.title("Buy milk").click()
    assert await violations(page) == [], "editor"
    await page.get_by_label("Tags").fill("x" * 51)
    await page.get_by_label("Tags").press("Enter")
    await expect(page.get_by_label("Tags")).to_have_attribute("aria-invalid", "true")
    assert await violations(page) == [], "rejection"
    await page.get_by_label("Tags").fill("home")
    stored = (await ada.api("GET"))["tasks"][0]
    await ada.api("PATCH", f"/{stored['id']}", {"title": "Buy oat milk"})
    await page.get_by_label("Title").fill("Buy soy milk")
    await page.get_by_label("Title").press("Enter")
    await expect(page.get_by_role("group", name="Changed elsewhere")).to_be_visible()
    assert await violations(page) == [], "conflict"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_messages_and_dialogs(
    meet: Meet, scheme: Literal["light", "dark"]
) -> None:
    ada = await meet(expects_failures=True, color_scheme=scheme)
    page = ada.page
    await ada.add("Call Mum")
    await ada.sees("Call Mum")
    await page.get_by_role("button", name="Keyboard shortcuts").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await violations(page) == [], "dialog"
    await page.get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Delete Call Mum").click()
    assert await violations(page) == [], "undo"
    await ada.context.set_offline(True)
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    await ada.add("later")
    await expect(ada.task("later")).to_have_attribute("data-state", "waiting")
    assert await violations(page) == [], "offline"
    await ada.context.set_offline(False)
    await expect(ada.task("later")).to_have_attribute("data-state", "saved")
    await page.route("**/api/**", lambda route: route.fulfill(status=503, headers={"Retry-After": "0"}))
    await page.get_by_role("checkbox", name="later").click()
    await expect(ada.task("later")).to_contain_text("Not saved")
    await page.get_by_label("Search").fill("later")
    await expect(page.get_by_text("Trying again …")).to_be_visible()
    assert await violations(page) == [], "not saved"
    await page.unroute_all()
    await page.get_by_role("link", name="Account of").click()
    await page.get_by_text("Delete account …").click()
    assert await violations(page) == [], "account"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_pages_of_accounts_and_outages(
    meet: Meet, database_url: str, scheme: Literal["light", "dark"]
) -> None:
    settings: dict[str, Any] = {"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "tasks@example.com"}
    async with running_stack(database_url, **settings) as (frontend, _):
        ada = await meet(at=frontend, expects_failures=True, color_scheme=scheme)
        page = ada.page
        await page.goto("/account")
        await expect(page.get_by_role("heading", name="Confirm your e-mail address")).to_be_visible()
        assert await violations(page) == [], "account"
        await page.route("**/get-session", lambda route: route.fulfill(status=503))
        await page.route("**/account", with_boot('{"unavailable": true, "signUp": true, "mail": true}'))
        await page.goto("/account")
        await expect(page.get_by_text("You are still signed in")).to_be_visible()
        assert await violations(page) == [], "outage"
        await page.unroute_all()
        await ada.context.clear_cookies()
        for path in ("/sign-in", "/sign-up", "/reset-password", "/no-such-page", "/forgot-password"):
            await page.goto(path)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert await violations(page) == [], path
        await page.get_by_label("E-mail").fill("unknown@example.com")
        await page.get_by_role("button", name="Send link").click()
        await expect(page.get_by_text("is on its way")).to_be_visible()
        assert await violations(page) == [], "sent"


@pytest.mark.parametrize(
    ("width", "height", "zoom"),
    [(320, 640, 1), (412, 915, 1), (1280, 800, 2)],
    ids=["320px", "phone", "zoom"],
)
async def test_small_screens_and_zoom(meet: Meet, width: int, height: int, zoom: int) -> None:
    # Zoom of the browser: the same number of device pixels, fewer CSS pixels.
    ada = await meet(
        viewport={"width": width // zoom, "height": height // zoom},
        device_scale_factor=zoom,
        has_touch=True,
        is_mobile=zoom == 1,
    )
    page = ada.page
    await ada.add("x" * 120, "A task with a title that needs more than one row on such a small screen")
    await expect(page.locator(".task[data-state=saved]")).to_have_count(2)
    task = (await ada.api("GET"))["tasks"][1]
    await ada.api(
        "PATCH", f"/{task['id']}", {"due": "2020-01-01", "priority": "high", "tags": ["t" * 50, "بيت"]}
    )
    for path in ("/", "/?tag=%D8%A8%D9%8A%D8%AA&priority=high", "editor", "/account"):
        if path == "editor":
            await page.goto("/")
            await page.locator("button.title").first.click()
        else:
            await page.goto(path)
        await expect(
            page.get_by_role("button", name="Sign out").or_(page.locator(".task").last)
        ).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        small = await page.evaluate(
            "[...document.querySelectorAll('button, a, input, select, summary')]"
            ".filter((each) => each.checkVisibility({visibilityProperty: true}) && !each.closest('.aside'))"
            ".map((each) => [each.outerHTML, each.getBoundingClientRect()])"
            ".filter(([, {width, height}]) => Math.min(width, height) < 44).map(([html]) => html)"
        )
        assert small == []
    await page.goto("/")
    await page.get_by_role("button", name="Delete A task").click()
    undo = page.get_by_role("button", name="Undo")
    await expect(undo).to_be_visible()
    rows_of_text = """(element) => {
      const range = document.createRange();
      range.selectNodeContents(element);
      return range.getClientRects().length;
    }"""
    assert await undo.evaluate(rows_of_text) == 1


async def test_reduced_motion(meet: Meet) -> None:
    ada = await meet(reduced_motion="reduce")
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    durations = await ada.page.evaluate(
        "[...document.querySelectorAll('*')].map((each) => parseFloat(getComputedStyle(each).transitionDuration))"
    )
    assert max(durations) < 0.001
