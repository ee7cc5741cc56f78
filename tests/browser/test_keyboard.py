"""Everything works by keyboard alone: no test here uses the mouse."""

from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Meet
from tests.support.frontend import PASSWORD


async def focus(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press Tab or Shift+Tab until an element has the focus, which must be visible at each step.

    The parts of a date or time field are not checked: the browser outlines them itself.
    """
    for _ in range(40):
        await page.keyboard.press(key)
        assert await page.evaluate(
            "[document.activeElement, document.activeElement.closest('.add')].some((each) =>"
            " each && (getComputedStyle(each).outlineStyle !== 'none' || each.matches('[type=date], [type=time]')))"
        ), await page.evaluate("document.activeElement.outerHTML")
        if await target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"the focus does not reach {target}")


async def test_account_by_keyboard(meet: Meet) -> None:
    ada = await meet(signed_up=False)
    page = ada.page
    type_, press = page.keyboard.type, page.keyboard.press
    await page.goto("/")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await focus(page, page.get_by_role("link", name="Create an account"))
    await press("Enter")
    await expect(page.get_by_label("Name")).to_be_focused()
    await type_("Ada Lovelace")
    await focus(page, page.get_by_label("E-mail"))
    await type_(ada.email)
    await focus(page, page.get_by_label("Password", exact=True))
    await type_(PASSWORD)
    await press("Enter")
    await expect(page.get_by_label("New task")).to_be_focused()
    await type_("Buy milk")
    await press("Enter")
    await ada.sees("Buy milk")

    await focus(page, page.get_by_role("link", name="Account of Ada Lovelace"), "Shift+Tab")
    await press("Enter")
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_focused()
    await focus(page, page.get_by_role("button", name="Sign out"))
    await press("Enter")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await type_(ada.email)
    await focus(page, page.get_by_label("Password", exact=True))
    await type_(PASSWORD)
    await press("Enter")
    await ada.sees("Buy milk")


async def test_tasks_by_keyboard(meet: Meet) -> None:
    ada = await meet()
    page = ada.page
    type_, press = page.keyboard.type, page.keyboard.press
    await type_("first")
    await press("Enter")
    await type_("second")
    await press("Enter")
    await ada.sees("second", "first")
    await expect(page.get_by_label("New task")).to_be_focused()
    await focus(page, page.get_by_role("checkbox", name="second"))
    await press("Space")
    await expect(page.get_by_role("checkbox", name="second")).to_be_checked()
    await focus(page, ada.title("second"))
    await press("Enter")
    await expect(page.get_by_label("Title")).to_be_focused()
    await type_(" edited")
    await press("Enter")
    await expect(ada.title("second edited")).to_be_focused()
    await focus(page, page.get_by_role("button", name="Delete second edited"))
    await press("Enter")
    await expect(ada.title("first")).to_be_focused()
    await focus(page, page.get_by_role("button", name="Undo"))
    await press("Enter")
    await ada.sees("second edited", "first")
    await expect(ada.title("second edited")).to_be_focused()
    assert await ada.titles() == ["second edited", "first"]


async def test_fields_and_filters_by_keyboard(meet: Meet) -> None:
    ada = await meet()
    page = ada.page
    type_, press = page.keyboard.type, page.keyboard.press
    await type_("Buy milk")
    await press("Enter")
    await ada.sees("Buy milk")
    await focus(page, ada.title("Buy milk"))
    await press("e")
    await focus(page, page.get_by_label("Notes"))
    await type_("two bottles")
    await focus(page, page.get_by_label("Due"))
    await type_("12312099")
    await focus(page, page.get_by_label("Time"))
    await type_("0930AM")
    await focus(page, page.get_by_label("Priority", exact=True))
    await type_("High")
    await focus(page, page.get_by_label("Tags"))
    await type_("home, errands")
    await press("Enter")
    await expect(ada.title("Buy milk")).to_be_focused()
    await expect(ada.task("Buy milk")).to_have_attribute("data-state", "saved")
    await expect(ada.task("Buy milk").locator("time")).to_contain_text("Dec 31, 2099, 9:30")
    task = (await ada.api("GET"))["tasks"][0]
    assert (task["description"], task["priority"], task["tags"]) == (
        "two bottles",
        "high",
        ["home", "errands"],
    )
    await focus(page, page.get_by_role("button", name="#errands"))
    await press("Enter")
    await expect(page).to_have_url(f"{ada.url}/?tag=errands")
    await focus(page, page.get_by_role("button", name="#errands: show all tags"), "Shift+Tab")
    await press("Enter")
    await expect(page).to_have_url(f"{ada.url}/")
    await expect(page.get_by_role("button", name="All", exact=True)).to_be_focused()
    await focus(page, page.get_by_label("Sort"))
    await type_("Due")
    await expect(page).to_have_url(f"{ada.url}/?sort=due")


async def test_shortcuts(meet: Meet) -> None:
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
    await expect(ada.title("second edited")).to_be_focused()
    await press("j")
    await press("Delete")
    await expect(ada.title("second edited")).to_be_focused()
    await press("z")
    await expect(ada.title("first")).to_be_focused()
    await press("/")
    await expect(page.get_by_label("Search")).to_be_focused()
    await page.keyboard.type("first")
    await ada.sees("first")
    await press("Tab")
    await press("Tab")
    await press("n")
    await expect(page.get_by_label("New task")).to_be_focused()


async def test_shortcuts_can_be_switched_off(meet: Meet) -> None:
    ada = await meet()
    page = ada.page
    press = page.keyboard.press
    await page.keyboard.type("first")
    await press("Enter")
    await ada.sees("first")
    await press("Tab")
    await press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await expect(page.get_by_label("Use single-key shortcuts")).to_be_focused()
    await press("Space")
    await press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await focus(page, ada.title("first"))
    await press("Delete")
    await press("x")
    await ada.sees("first")
    await expect(page.get_by_role("checkbox", name="first")).not_to_be_checked()
    await page.reload()
    await ada.sees("first")
    await focus(page, ada.title("first"))
    await press("x")
    await expect(page.get_by_role("checkbox", name="first")).not_to_be_checked()
