"""The editor of a task: rejections beside their fields, nothing typed is lost, nothing untouched changes."""

import asyncio

from playwright.async_api import Locator, Route, expect

from tests.browser.conftest import Meet


async def described_by(field: Locator) -> str:
    """Return the text that a screen reader reads with the field."""
    text: str = await field.evaluate(
        "(field) => document.getElementById(field.getAttribute('aria-describedby')).textContent"
    )
    return text


async def test_a_rejection_is_shown_beside_its_fields_and_can_be_corrected(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    page = ada.page
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    await ada.title("Buy milk").click()
    title, tags = page.get_by_label("Title"), page.get_by_label("Tags")
    await title.fill("x" * 201)
    await tags.fill(f"home, {'y' * 51}")
    await page.get_by_label("Notes").fill("kept")
    await page.get_by_label("Notes").press("Control+Enter")
    await expect(title).to_be_focused()
    for field, text in (
        (title, "Title should have at most 200 characters."),
        (tags, "Tags must have 1 to 50 characters once trimmed and in Unicode NFC."),
    ):
        await expect(field).to_have_attribute("aria-invalid", "true")
        assert await described_by(field) == text
    await expect(page.get_by_label("Notes")).to_have_value("kept")
    assert await ada.titles() == ["Buy milk"]
    await title.fill("Buy oat milk")
    await page.get_by_role("button", name="Save").click()
    await expect(tags).to_be_focused()
    await expect(title).not_to_have_attribute("aria-invalid", "true")
    await tags.fill("home, errands")
    await tags.press("Enter")
    await expect(ada.task("Buy oat milk")).to_have_attribute("data-state", "saved")
    stored = (await ada.api("GET"))["tasks"][0]
    assert (stored["title"], stored["tags"], stored["description"]) == (
        "Buy oat milk",
        ["home", "errands"],
        "kept",
    )


async def test_a_rejected_new_task_is_kept_and_can_be_corrected(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    page = ada.page
    await ada.add("z" * 201)
    title = page.get_by_label("Title")
    await expect(title).to_have_value("z" * 201)
    assert await described_by(title) == "Title should have at most 200 characters."
    await title.fill("short")
    await title.press("Enter")
    await ada.sees("short")
    assert await ada.titles() == ["short"]

    await ada.add("z" * 201)
    await page.get_by_role("button", name="Cancel").click()
    await ada.sees("short")


async def test_a_rejection_leaves_the_focus_with_someone_who_types(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    page = ada.page

    async def later(route: Route) -> None:
        await typed.wait()
        await route.continue_()

    typed = asyncio.Event()
    await page.route("**/api/*/tasks", later)
    await ada.add("z" * 201)
    await page.keyboard.type("the next one")
    typed.set()
    await expect(page.get_by_label("Title")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_text("Not saved. What to correct is marked.")).to_be_visible()
    await expect(page.get_by_label("New task")).to_be_focused()
    await expect(page.get_by_label("New task")).to_have_value("the next one")


async def test_a_body_that_is_too_large_is_explained(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    await ada.title("Buy milk").click()
    await ada.page.get_by_label("Notes").fill("n" * 1_100_000)
    await ada.page.get_by_role("button", name="Save").click()
    await expect(ada.page.locator(".editor .problem")).to_have_text("That is too long to save.")
    await expect(ada.page.get_by_label("Title")).to_be_focused()


async def test_what_the_fields_cannot_express_survives_an_edit(meet: Meet) -> None:
    ada = await meet()
    fields = {
        "title": "from another client",
        "due": "2099-12-01T09:00:30.5Z",
        "priority": "high",
        "tags": ["one, two", "#three"],
        "description": "a\r\nb",
    }
    before = await ada.api("POST", "", fields)
    await ada.page.reload()
    await ada.title("from another client").click()
    await expect(ada.page.get_by_label("Priority", exact=True)).to_have_value("high")
    await ada.page.get_by_label("Title").fill("edited")
    await ada.page.get_by_label("Title").press("Enter")
    await expect(ada.task("edited")).to_have_attribute("data-state", "saved")
    after = (await ada.api("GET"))["tasks"][0]
    assert {name: after[name] for name in fields} == {name: before[name] for name in fields} | {
        "title": "edited"
    }


async def test_editors_are_independent_and_a_time_needs_a_date(meet: Meet) -> None:
    ada = await meet()
    await ada.add("one", "two")
    await ada.sees("two", "one")
    await ada.title("one").click()
    first, second = ada.task("one"), ada.task("two")
    await first.get_by_label("Title").fill("one edited")
    await ada.title("two").click()
    await second.get_by_label("Time").fill("09:30")
    await second.get_by_role("button", name="Save").click()
    assert await second.get_by_label("Due").evaluate("(field) => field.validity.valueMissing")
    await second.get_by_label("Due").fill("2099-12-01")
    await second.get_by_role("button", name="Save").click()
    await expect(second.locator("time")).to_contain_text("9:30")
    await expect(first.get_by_label("Title")).to_have_value("one edited")
    await first.get_by_role("button", name="Save").click()
    await expect(ada.task("one edited")).to_have_attribute("data-state", "saved")
