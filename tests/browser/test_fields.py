"""Due dates, priorities and tags."""

from datetime import date, timedelta

from playwright.async_api import expect

from tests.browser.conftest import Meet


async def test_due_date_priority_and_tags_are_set_shown_filtered_and_sorted(meet: Meet) -> None:
    ada = await meet()
    page = ada.page
    await ada.add("plain", "urgent")
    await ada.sees("urgent", "plain")
    yesterday = date.today() - timedelta(days=1)  # noqa: DTZ011 - as the browser on this machine
    await ada.title("urgent").click()
    await page.get_by_label("Due").fill(yesterday.isoformat())
    await page.get_by_label("Priority").select_option("High")
    await page.get_by_label("Tags").fill("home, Two words")
    await page.get_by_role("button", name="Save").click()
    row = ada.task("urgent")
    await expect(row).to_have_attribute("data-state", "saved")
    await expect(row.locator("time")).to_have_text("Yesterday")
    await expect(row.locator("time")).to_have_class("overdue")
    stored = (await ada.api("GET"))["tasks"][0]
    assert (stored["due"], stored["priority"], stored["tags"]) == (
        yesterday.isoformat(),
        "high",
        ["home", "Two words"],
    )

    await row.get_by_role("button", name="#Two words").click()
    await expect(page).to_have_url(f"{ada.url}/?tag=Two+words")
    await ada.sees("urgent")
    await ada.add("same tag")
    await ada.sees("same tag", "urgent")
    await page.reload()
    await ada.sees("same tag", "urgent")
    await page.get_by_role("button", name="#Two words: show all tags").click()
    await ada.sees("same tag", "urgent", "plain")
    await page.get_by_label("Sort").select_option("Due first")
    await expect(page.locator(".task .title").first).to_have_text("urgent")
    await row.get_by_role("button", name="High priority").click()
    await ada.sees("urgent")
    await page.get_by_role("button", name="High: show all priorities").click()

    await ada.title("urgent").click()
    await page.get_by_label("Time").fill("09:30")
    await page.get_by_label("Due").fill("2099-12-01")
    await page.get_by_role("button", name="Save").click()
    await expect(ada.task("urgent").locator("time")).to_contain_text("9:30")
    await ada.title("urgent").click()
    await expect(page.get_by_label("Time")).to_have_value("09:30")
    await expect(page.get_by_label("Due")).to_have_value("2099-12-01")
    await page.get_by_label("Due").fill("")
    await page.get_by_label("Tags").fill("")
    await page.get_by_label("Priority").select_option("No priority")
    await page.get_by_role("button", name="Save").click()
    await expect(ada.task("urgent")).to_have_attribute("data-state", "saved")
    await expect(ada.task("urgent").locator(".details")).to_have_count(0)
    stored = next(task for task in (await ada.api("GET"))["tasks"] if task["title"] == "urgent")
    assert (stored["due"], stored["priority"], stored["tags"]) == (None, "none", [])
