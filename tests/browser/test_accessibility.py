"""Everyone can use it: axe, keyboard, zoom, small screens, reduced motion."""

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Meet
from tests.support.frontend import PASSWORD

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


async def violations(page: Page) -> list[str]:
    """Return what axe finds, as rule and element."""
    await page.evaluate("document.getAnimations().forEach((each) => each.finish())")
    await page.evaluate(AXE.read_text())
    found: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(meet: Meet, scheme: Literal["light", "dark"]) -> None:
    ada = await meet(signed_up=False, expects_failures=True, color_scheme=scheme)
    page = ada.page
    for path in ("/sign-in", "/forgot-password", "/reset-password", "/no-such-page", "/sign-up"):
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert await violations(page) == [], path
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", name="A clear head starts here")).to_be_visible()
    ada.id = (await (await ada.context.request.get("/api/auth/get-session")).json())["user"]["id"]
    assert await violations(page) == [], "empty list"

    await ada.add("Call Mum", "Buy milk")
    await ada.sees("Buy milk", "Call Mum")
    fields = {"due": "2020-01-01", "priority": "high", "tags": ["home"]}
    for task in (await ada.api("GET"))["tasks"]:
        await ada.api("PATCH", f"/{task['id']}", fields)
    await page.reload()
    await page.get_by_role("checkbox", name="Call Mum").check()
    await page.get_by_role("button", name="Delete Buy milk").hover()
    assert await violations(page) == [], "list"
    await ada.title("Buy milk").click()
    assert await violations(page) == [], "editor"
    stored = (await ada.api("GET"))["tasks"][0]
    await ada.api("PATCH", f"/{stored['id']}", {"title": "Buy oat milk"})
    await page.get_by_label("Title").fill("Buy soy milk")
    await page.get_by_label("Title").press("Enter")
    await expect(page.get_by_role("group", name="Changed elsewhere")).to_be_visible()
    assert await violations(page) == [], "conflict"
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
    await page.get_by_role("link", name="Account of").click()
    await page.get_by_text("Delete account …").click()
    assert await violations(page) == [], "account"


async def test_everything_by_keyboard(meet: Meet) -> None:
    ada = await meet()
    page = ada.page
    press = page.keyboard.press
    await page.keyboard.type("first")
    await press("Enter")
    await page.keyboard.type("second")
    await press("Enter")
    await ada.sees("second", "first")
    await press("Tab")  # leaves the field, where single keys are text
    await press("Tab")
    await press("j")
    await expect(ada.title("second")).to_be_focused()
    outline = await ada.title("second").evaluate("(element) => getComputedStyle(element).outlineStyle")
    assert outline == "solid"
    await press("j")
    await expect(ada.title("first")).to_be_focused()
    await press("x")
    await expect(page.get_by_role("checkbox", name="first")).to_be_checked()
    await press("k")
    await press("e")
    await expect(page.get_by_label("Title")).to_be_focused()
    await page.keyboard.type(" edited")
    await press("Enter")
    await expect(ada.title("second edited")).to_be_focused()
    await press("e")
    await page.keyboard.type(" not saved")
    await press("Escape")
    await expect(ada.title("second edited")).to_be_focused()
    await press("Delete")
    await expect(ada.title("first")).to_be_focused()
    await press("z")
    await ada.sees("second edited", "first")
    await press("/")
    await expect(page.get_by_label("Search")).to_be_focused()
    await page.keyboard.type("first")
    await ada.sees("first")
    await press("Tab")
    await press("Tab")
    await press("n")
    await expect(page.get_by_label("New task")).to_be_focused()
    await press("Tab")
    await press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await press("Tab")
    await page.get_by_label("Use single-key shortcuts").uncheck()
    await press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await ada.title("first").focus()
    await press("Delete")
    await ada.sees("first")


@pytest.mark.parametrize(
    ("width", "height", "zoom"),
    [(320, 640, 1), (412, 915, 1), (1280, 800, 2)],
    ids=["320px", "phone", "zoom"],
)
async def test_small_screens_and_zoom(meet: Meet, width: int, height: int, zoom: int) -> None:
    # Zoom of the browser: the same number of device pixels, fewer CSS pixels.
    ada = await meet(
        viewport={"width": width // zoom, "height": height // zoom}, device_scale_factor=zoom, has_touch=True
    )
    page = ada.page
    await ada.add("x" * 120, "A task with a title that needs more than one row on such a small screen")
    await expect(page.locator(".task[data-state=saved]")).to_have_count(2)
    await page.locator("button.title").first.click()
    for path in ("", "/account"):
        if path:
            await page.goto(path)
            await expect(page.get_by_role("heading", level=1)).to_have_text("Account")
            await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        small = await page.evaluate(
            "[...document.querySelectorAll('button, a, input, select, summary')]"
            ".filter((each) => each.checkVisibility({visibilityProperty: true}) && !each.closest('p'))"
            ".map((each) => [each.outerHTML, each.getBoundingClientRect()])"
            ".filter(([, {width, height}]) => Math.min(width, height) < 38).map(([html]) => html)"
        )
        assert small == []


async def test_reduced_motion(meet: Meet) -> None:
    ada = await meet(reduced_motion="reduce")
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    durations = await ada.page.evaluate(
        "[...document.querySelectorAll('*')].map((each) => parseFloat(getComputedStyle(each).transitionDuration))"
    )
    assert max(durations) < 0.001
