"""Due dates, priorities and tags."""

from datetime import date, timedelta

from playwright.async_api import expect

from tests.browser.conftest import Meet
from tests.browser.person import Person


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


async def fill(person: Person, title: str, due: str, priority: str, tags: str) -> None:
    """Open the editor of a task, set these fields and save."""
    await person.title(title).click()
    page = person.page
    await page.get_by_label("Due").fill(due)
    await page.get_by_label("Priority", exact=True).select_option(priority)
    await page.get_by_label("Tags").fill(tags)
    await page.get_by_role("button", name="Save").click()


async def test_filters_and_sorts_are_in_the_address(meet: Meet) -> None:
    ada = await meet()
    page = ada.page
    await ada.add("late", "soon", "none")
    await ada.sees("none", "soon", "late")
    await fill(ada, "late", "2099-12-02", "Low", "home")
    await fill(ada, "soon", "2099-12-01", "High", "home, work")
    await expect(page.locator(".task[data-state=saved]")).to_have_count(3)
    for address, titles in (
        ("/?sort=due", ["soon", "late", "none"]),
        ("/?sort=priority", ["soon", "late", "none"]),
        ("/?tag=home&sort=oldest", ["late", "soon"]),
        ("/?tag=work&priority=high", ["soon"]),
        ("/?tag=work&priority=low", []),
        ("/?tag=%20&priority=urgent&sort=size", ["none", "soon", "late"]),
    ):
        await page.goto(address)
        await ada.sees(*titles)
    await page.goto("/?sort=due")
    await ada.sees("soon", "late", "none")
    await ada.task("late").get_by_role("button", name="Low priority").click()
    await expect(page).to_have_url(f"{ada.url}/?sort=due&priority=low")
    await ada.sees("late")
    await page.go_back()
    await ada.sees("soon", "late", "none")
    await page.go_forward()
    await ada.sees("late")


async def test_a_filter_that_is_selected_while_a_search_is_typed_stays(meet: Meet) -> None:
    ada = await meet()
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    # Within the pause after which a search starts, however slow the machine is.
    await ada.page.evaluate(
        """async () => {
          const search = document.getElementById("search");
          search.value = "milk";
          search.dispatchEvent(new Event("input", {bubbles: true}));
          await new Promise((resume) => setTimeout(resume, 50));
          document.querySelectorAll(".statuses button")[1].click();
        }"""
    )
    await expect(ada.page).to_have_url(f"{ada.url}/?q=milk&status=pending")
    await ada.sees("Buy milk")


async def test_a_row_keeps_the_filters_of_a_list_that_could_not_be_loaded(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    await fill(ada, "Buy milk", "2099-12-01", "Low", "home")
    await ada.sees("Buy milk")
    await ada.page.route("**/api/*/tasks?*", lambda route: route.fulfill(status=503, json={"title": "Busy"}))
    await ada.page.get_by_role("button", name="To do").click()
    await expect(ada.page.get_by_text("Trying again")).to_be_visible()
    await ada.page.get_by_role("button", name="#home").click()
    await expect(ada.page).to_have_url(f"{ada.url}/?status=pending&tag=home")


async def test_fields_that_are_set_offline_are_sent_later(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("before")
    await ada.sees("before")
    await ada.context.set_offline(True)
    await ada.add("new")
    await fill(ada, "before", "2099-12-01", "Medium", "home")
    await fill(ada, "new", "2099-12-02", "High", "work")
    for title, tag in (("before", "#home"), ("new", "#work")):
        await expect(ada.task(title)).to_contain_text("Sent when you are online")
        await expect(ada.task(title)).to_contain_text(tag)
    await ada.context.set_offline(False)
    await expect(ada.page.locator(".task[data-state=saved]")).to_have_count(2)
    stored = [
        (task["title"], task["due"], task["priority"], task["tags"])
        for task in (await ada.api("GET"))["tasks"]
    ]
    assert stored == [("new", "2099-12-02", "high", ["work"]), ("before", "2099-12-01", "medium", ["home"])]


async def test_a_conflict_shows_both_dates_priorities_and_tags(meet: Meet) -> None:
    ada = await meet()
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    stored = (await ada.api("GET"))["tasks"][0]
    await ada.title("Buy milk").click()
    await ada.api("PATCH", f"/{stored['id']}", {"due": "2099-12-24", "priority": "low", "tags": ["theirs"]})
    await ada.page.get_by_label("Due").fill("2099-12-31")
    await ada.page.get_by_label("Priority", exact=True).select_option("High")
    await ada.page.get_by_label("Tags").fill("mine")
    await ada.page.get_by_role("button", name="Save").click()
    conflict = ada.page.get_by_role("group", name="Changed elsewhere")
    for mine, theirs in (("Dec 31", "Dec 24"), ("High", "Low"), ("#mine", "#theirs")):
        await expect(conflict.locator(".versions > div").first).to_contain_text(mine)
        await expect(conflict.locator(".versions > div").last).to_contain_text(theirs)
    await ada.page.get_by_label("Search").fill("something else")
    await expect(ada.page).to_have_url(f"{ada.url}/?q=something+else")
    await expect(conflict).to_be_visible()  # neither version is lost
    await conflict.get_by_role("button", name="Keep yours").click()
    await expect(conflict).to_have_count(0)
    await expect(ada.page.locator(".task[data-state=saved]")).to_have_count(1)
    task = (await ada.api("GET"))["tasks"][0]
    assert (task["due"], task["priority"], task["tags"]) == ("2099-12-31", "high", ["mine"])
