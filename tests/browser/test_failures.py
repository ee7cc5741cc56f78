"""What fails is said, tried again, and never lost: outages, conflicts, limits, lost responses."""

import re

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import Meet


async def test_a_conflict_shows_both_versions_and_either_can_win(meet: Meet) -> None:
    ada = await meet()
    await ada.add("one", "two")
    await ada.sees("two", "one")
    tab = await ada.tab()
    for old, theirs, mine in (("one", "one of A", "one of B"), ("two", "two of A", "two of B")):
        await ada.title(old).click()
        await ada.edit(old, theirs, tab)
        await expect(ada.task(theirs, tab)).to_have_attribute("data-state", "saved")
        await ada.page.get_by_label("Title").fill(mine)
        await ada.page.get_by_label("Title").press("Enter")
        conflict = ada.page.get_by_role("group", name="Changed elsewhere")
        await expect(conflict).to_contain_text(mine)
        await expect(conflict).to_contain_text(theirs)
        keep = "Keep yours" if old == "one" else "Keep the other"
        await conflict.get_by_role("button", name=keep, exact=True).click()
        await expect(conflict).to_have_count(0)
        await expect(ada.title(mine if old == "one" else theirs)).to_be_focused()
    await ada.sees("two of A", "one of B")
    assert await ada.titles() == ["two of A", "one of B"]


async def test_a_lost_response_leads_to_one_task(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    lost = False

    async def lose_first(route: Route) -> None:
        nonlocal lost
        if route.request.method == "POST" and not lost:
            lost = True
            await route.fetch()  # the service has it
            await route.abort()
        else:
            await route.continue_()

    await ada.page.route("**/api/*/tasks", lose_first)
    await ada.add("only once")
    await ada.sees("only once")
    assert lost
    assert await ada.titles() == ["only once"]


@pytest.mark.parametrize("status", [408, 409, 429, 502, 503, 504])
async def test_a_refusal_that_may_pass_is_tried_again_after_its_time(meet: Meet, status: int) -> None:
    ada = await meet(expects_failures=True)
    count = 0

    async def refuse_twice(route: Route) -> None:
        nonlocal count
        if route.request.method == "POST" and (count := count + 1) <= 2:
            await route.fulfill(status=status, headers={"Retry-After": "1"}, json={"title": "Busy"})
        else:
            await route.continue_()

    await ada.page.route("**/api/*/tasks", refuse_twice)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    assert count == 3


async def test_what_is_not_saved_after_three_attempts_can_be_tried_again(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    refuse = True

    async def refuse_all(route: Route) -> None:
        if route.request.method == "PATCH" and refuse:
            await route.fulfill(status=503, headers={"Retry-After": "0"}, json={"title": "Busy"})
        else:
            await route.continue_()

    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    await ada.page.route("**/tasks/*", refuse_all)
    await ada.page.get_by_role("checkbox", name="Buy milk").check()
    await expect(ada.task("Buy milk")).to_contain_text("Not saved")
    refuse = False
    await ada.page.get_by_role("button", name="Try again").click()
    await expect(ada.title("Buy milk")).to_be_focused()
    await ada.sees("Buy milk")
    assert (await ada.api("GET"))["tasks"][0]["completed"] is True


async def test_a_rejected_change_is_rolled_back_and_explained(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    problem = {
        "title": "Invalid",
        "errors": [{"pointer": "/body/completed", "detail": "must be true on Sundays"}],
    }

    async def reject(route: Route) -> None:
        await route.fulfill(status=422, json=problem)

    await ada.page.route("**/tasks/*", reject)
    await ada.page.get_by_role("checkbox", name="Buy milk").click()
    await expect(ada.page.get_by_text("Not saved: must be true on Sundays")).to_be_visible()
    await expect(ada.page.get_by_role("checkbox", name="Buy milk")).not_to_be_checked()


async def test_a_task_deleted_elsewhere_leaves(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("stays", "goes")
    await ada.sees("goes", "stays")
    stored = {task["title"]: task["id"] for task in (await ada.api("GET"))["tasks"]}
    await ada.api("DELETE", f"/{stored['goes']}")
    await ada.page.get_by_role("checkbox", name="goes").click()
    await expect(ada.page.get_by_text(re.compile("“.goes.” was deleted elsewhere"))).to_be_visible()
    await ada.sees("stays")


async def test_offline_the_list_is_readable_and_additions_are_sent_later(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("before")
    await ada.sees("before")
    await ada.context.set_offline(True)
    await expect(ada.page.get_by_text("You are offline.")).to_be_visible()
    await ada.add("meanwhile", "and again")
    await expect(ada.task("meanwhile")).to_contain_text("Sent when you are online")
    await expect(ada.task("before")).to_be_visible()
    await ada.context.set_offline(False)
    await ada.sees("and again", "meanwhile", "before")
    await expect(ada.page.get_by_text("You are offline.")).to_have_count(0)
    assert sorted(await ada.titles()) == ["and again", "before", "meanwhile"]


async def test_a_slow_link_shows_what_was_added_before_the_response(meet: Meet) -> None:
    ada = await meet()
    await ada.add("before")
    await ada.sees("before")
    link = await ada.context.new_cdp_session(ada.page)
    slow = {"offline": False, "latency": 1500, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    await link.send("Network.emulateNetworkConditions", slow)
    await ada.add("at once")
    await expect(ada.task("at once")).to_have_attribute("data-state", "sending")
    await expect(ada.page.get_by_label("New task")).to_have_value("")
    await ada.sees("at once", "before")
    await ada.page.reload(wait_until="commit")
    await expect(ada.page.get_by_text("Loading your tasks")).to_be_attached()
    await ada.sees("at once", "before")
    assert await ada.titles() == ["at once", "before"]
