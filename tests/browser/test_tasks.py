"""Everyday use: accounts, tasks, search, long lists."""

import asyncpg
from playwright.async_api import Route, expect

from tests.browser.conftest import Meet
from tests.browser.person import with_boot
from tests.support.frontend import PASSWORD
from tests.support.waiting import poll_until


async def test_from_sign_up_to_sign_in_again(meet: Meet) -> None:
    ada = await meet(signed_up=False)
    page = ada.page
    await page.goto("/")
    await expect(page).to_have_url(f"{ada.url}/sign-in")
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Ada")

    await ada.add("Buy milk", "Call Mum")
    await expect(page.get_by_label("New task")).to_be_focused()
    await ada.sees("Call Mum", "Buy milk")
    await ada.edit("Buy milk", "Buy oat milk")
    await ada.sees("Call Mum", "Buy oat milk")
    await page.get_by_role("checkbox", name="Buy oat milk").check()
    await page.get_by_role("button", name="Delete Call Mum").click()
    await ada.sees("Buy oat milk")
    await page.get_by_role("button", name="Undo").click()
    await ada.sees("Call Mum", "Buy oat milk")

    await page.get_by_role("link", name="Account of Ada Lovelace").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await ada.sees("Call Mum", "Buy oat milk")
    await expect(page.get_by_role("checkbox", name="Buy oat milk")).to_be_checked()


async def test_wrong_password_and_taken_address_are_explained(meet: Meet) -> None:
    ada = await meet()
    other = await meet(signed_up=False, expects_failures=True)
    await other.page.goto("/sign-in")
    await other.page.get_by_label("E-mail").fill(ada.email)
    await other.page.get_by_label("Password", exact=True).fill("a wrong password")
    await other.page.get_by_role("button", name="Sign in").click()
    await expect(other.page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    await other.page.goto("/sign-up")
    await other.page.get_by_label("Name").fill("Eve")
    await other.page.get_by_label("E-mail").fill(ada.email)
    await other.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await other.page.get_by_role("button", name="Create account").click()
    await expect(other.page.get_by_role("alert")).to_contain_text("Sign in instead")


async def test_a_double_click_adds_one_task(meet: Meet) -> None:
    ada = await meet()
    await ada.page.get_by_label("New task").fill("Buy milk")
    await ada.page.get_by_role("button", name="Add").dblclick()
    await ada.sees("Buy milk")
    assert await ada.titles() == ["Buy milk"]


async def test_a_deletion_is_sent_when_the_page_closes(meet: Meet) -> None:
    ada = await meet()
    await ada.add("keep", "drop")
    await ada.sees("drop", "keep")
    await ada.page.get_by_role("button", name="Delete drop").click()
    await ada.page.close(run_before_unload=False)

    async def remaining() -> bool:
        return await ada.titles() == ["keep"]

    await poll_until(remaining)


async def test_titles_are_text_in_any_script(meet: Meet) -> None:
    ada = await meet()
    titles = [
        '<img src=x onerror="document.title=1"><script>alert(1)</script>',
        "{{constructor.constructor('alert(1)')()}} &lt;b&gt; </script>",
        "اشترِ الحليب",  # right to left
        "👩‍👩‍👧‍👦 Größe 牛奶",
        "x" * 200,
    ]
    await ada.add(*titles)
    await ada.sees(*reversed(titles))
    await ada.page.reload()
    await ada.sees(*reversed(titles))
    await expect(ada.page).to_have_title("Tasks")
    # Right to left, and a character that reverses what follows it: neither reaches the text around it.
    await ada.page.get_by_role("button", name="Delete اشترِ الحليب").click()
    await expect(ada.page.get_by_text("Deleted “\u2068اشترِ الحليب\u2069”")).to_be_visible()
    await ada.page.get_by_role("button", name="Undo").click()
    await ada.sees(*reversed(titles))
    assert (
        await ada.title("اشترِ الحليب").evaluate("(element) => getComputedStyle(element).direction") == "rtl"
    )


async def test_a_long_list_searched_filtered_and_gone_back(meet: Meet, shared_database_url: str) -> None:
    ada = await meet()
    connection = await asyncpg.connect(shared_database_url)
    await connection.execute(
        "INSERT INTO tasks (user_id, title, completed, created_at)"
        " SELECT $1, 'task ' || n, n % 2 = 0, now() - n * interval '1 minute' FROM generate_series(1, 1000) n",
        ada.id,
    )
    await connection.close()
    page = ada.page
    await page.reload()
    rows = page.locator(".task")
    await expect(rows.first).to_be_visible()
    while await page.get_by_role("button", name="More tasks").or_(page.get_by_text("Loading …")).count():
        before = await rows.count()
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(rows).not_to_have_count(before)
        if before == 500:
            assert await page.evaluate("document.querySelectorAll('*').length") < 3000
    titles = await page.locator(".task .title").all_text_contents()
    assert titles == [f"task {number}" for number in range(1, 1001)]

    await page.get_by_label("Search").fill("task 77")
    await expect(rows).to_have_count(11)
    await expect(page).to_have_url(f"{ada.url}/?q=task+77")
    await page.get_by_role("button", name="Done").click()
    await expect(rows).to_have_count(5)
    await page.get_by_label("Sort").select_option("Title A–Z")
    await expect(rows.first).to_contain_text("task 770")
    await page.go_back()
    await page.go_back()
    await expect(rows).to_have_count(11)
    await expect(page.get_by_label("Search")).to_have_value("task 77")
    await page.go_back()
    await expect(page.get_by_label("Search")).to_have_value("")
    await page.goto("/?q=nothing+like+this")
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    await page.get_by_role("button", name="Show all tasks").click()
    await expect(rows.first).to_contain_text("task 1")


async def test_ten_thousand_tasks(meet: Meet, shared_database_url: str) -> None:
    ada = await meet()
    connection = await asyncpg.connect(shared_database_url)
    await connection.execute(
        "INSERT INTO tasks (user_id, title, completed, created_at, tags)"
        " SELECT $1, 'task ' || n, n % 2 = 0, now() - n * interval '1 minute', ARRAY['home']"
        " FROM generate_series(1, 10000) n",
        ada.id,
    )
    await connection.close()
    page = ada.page
    await page.reload()
    rows = page.locator(".task")
    await expect(rows).to_have_count(50)
    assert await page.evaluate("document.querySelectorAll('*').length") < 1000
    for count in range(100, 1001, 50):
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(rows.nth(count - 1)).to_be_attached()
    await page.get_by_label("New task").fill("on top of a long list")
    await page.get_by_label("New task").press("Enter")
    await expect(rows.first).to_contain_text("on top of a long list")
    await expect(rows.first).to_have_attribute("data-state", "saved")
    await page.get_by_label("Search").fill("task 10000")
    await expect(rows).to_have_count(1)
    await page.get_by_label("Search").fill("")
    await page.get_by_label("Sort").select_option("Oldest first")
    await expect(rows.first).to_contain_text("task 10000")
    await rows.first.get_by_role("checkbox").uncheck()
    await expect(rows.first).to_have_attribute("data-state", "saved")


async def test_one_row_that_cannot_be_shown_leaves_the_others_alone(meet: Meet) -> None:
    ada = await meet()
    await ada.add("first", "second")
    await ada.sees("second", "first")

    async def break_one(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        body["tasks"][0]["description"] = 5
        await route.fulfill(response=answer, json=body)

    await ada.page.route("**/tasks?*", break_one)
    await ada.page.reload()
    await expect(ada.page.get_by_text("This task cannot be shown.")).to_be_visible()
    await ada.page.get_by_role("checkbox", name="first").check()
    await expect(ada.task("first")).to_have_attribute("data-state", "saved")
    assert "description.split" in ada.problems.pop()  # reported, with its cause


async def test_a_page_with_an_error_says_so_and_can_be_reloaded(meet: Meet) -> None:
    ada = await meet()
    boot = '{"user": {"id": "x", "name": 5}, "token": "e30.eyJleHAiOjEsImlhdCI6MH0.", "signUp": true, "mail": false}'
    await ada.page.route("**/", with_boot(boot))
    await ada.page.goto("/")
    await expect(ada.page.get_by_role("heading", name="Something went wrong")).to_be_visible()
    assert len(ada.problems) == 1
    ada.problems.clear()
    await ada.page.unroute_all()
    await ada.page.get_by_role("link", name="Reload").click()
    await expect(ada.page.get_by_role("heading", name="A clear head starts here")).to_be_visible()


async def test_account_password_and_deletion(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    page = ada.page
    await page.get_by_role("link", name="Account of").click()
    await page.get_by_label("Current password", exact=True).fill(PASSWORD)
    await page.get_by_label("New password", exact=True).fill("another long password")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("Your password is changed")).to_be_visible()
    await page.get_by_text("Delete account …").click()
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Delete account and all tasks").click()
    await expect(page.get_by_role("alert")).to_have_text("The password is wrong.")
    await page.get_by_label("Password", exact=True).fill("another long password")
    await page.get_by_role("button", name="Delete account and all tasks").click()
    await expect(page.get_by_text("Your account and all its tasks are deleted.")).to_be_visible()
