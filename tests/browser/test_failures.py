"""What fails is said, tried again, and never lost: outages, conflicts, limits, lost responses."""

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import Meet, running_stack
from tests.support.database import Server
from tests.support.frontend import database_name


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
    await ada.sees("two of A", "one of B")
    assert await ada.titles() == ["two of A", "one of B"]


async def test_a_weak_entity_tag_of_a_compressing_proxy_still_saves(meet: Meet) -> None:
    ada = await meet()
    await ada.add("Buy milk")
    await ada.sees("Buy milk")

    async def weaken(route: Route) -> None:
        answer = await route.fetch()
        headers = {**answer.headers, "etag": f"W/{answer.headers['etag']}"}
        await route.fulfill(response=answer, headers=headers)

    await ada.page.route(
        "**/tasks/*", lambda route: weaken(route) if route.request.method == "GET" else route.continue_()
    )
    await ada.edit("Buy milk", "Buy oat milk")
    await ada.sees("Buy oat milk")
    assert await ada.titles() == ["Buy oat milk"]


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


@pytest.mark.parametrize("status", [429, 503, 504])
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
    await expect(ada.page.get_by_text("“goes” was deleted elsewhere.")).to_be_visible()
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


async def test_an_outage_of_the_database_is_survived(
    meet: Meet, database_url: str, migrated_server: tuple[Server, str]
) -> None:
    server, name = migrated_server[0], database_name(database_url)
    async with running_stack(database_url) as (frontend, _):
        ada = await meet(at=frontend, expects_failures=True)
        await ada.add("before")
        await ada.sees("before")
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 - made by the fixture
        )
        tab = await ada.tab()
        await expect(tab.get_by_text("You are still signed in")).to_be_visible()
        await ada.add("meanwhile")
        await expect(ada.task("meanwhile")).to_contain_text("Not saved")
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await expect(tab.locator(".task")).to_have_count(1)
        await ada.page.get_by_role("button", name="Try again").click()
        await ada.sees("meanwhile", "before")
        assert await ada.titles() == ["meanwhile", "before"]
