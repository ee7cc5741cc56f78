"""Attacks on the page and its session in a real browser: injected script, another site, what script can read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Error, expect

from tests.browser.conftest import Meet
from tests.support.frontend import PASSWORD
from tests.support.waiting import poll_until

MARKUP = "</script><script>document.title='no'</script><img src=x onerror=\"document.title='no'\">"


async def test_a_name_with_markup_is_text_in_page_and_boot_data(meet: Meet) -> None:
    ada = await meet(signed_up=False)
    page = ada.page
    await page.goto("/sign-up")
    await page.get_by_label("Name").fill(MARKUP)
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", name="A clear head starts here")).to_be_visible()
    await page.goto("/account")
    await expect(page.locator(".name")).to_have_text(MARKUP)
    await expect(page).to_have_title("Account · Tasks")
    assert await page.locator("img").count() == 0


async def test_the_policy_stops_injected_script(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    link = "Object.assign(document.createElement('a'), {href: 'javascript:window.attacked = true'})"
    for injection in (
        "document.body.innerHTML = '<img src=x onerror=\"window.attacked = true\">'",
        "document.body.insertAdjacentHTML('beforeend', '<b>text</b>')",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.attacked = true'}))",
        "document.body.append(Object.assign(document.createElement('script'), {src: 'https://evil.example/x.js'}))",
        f"document.body.appendChild({link}).click()",
        # Later: the policy does not apply to eval in a script of the debugger.
        "setTimeout(() => window.eval('window.attacked = true'))",
        "trustedTypes.createPolicy('default', {createHTML: (text) => text})",
    ):
        await ada.page.goto("/")
        await ada.page.evaluate(f"() => {{ try {{ {injection}; }} catch {{}} }}")
        await poll_until(
            lambda: any("CSP: " in each for each in ada.problems), what=f"a report of {injection}"
        )
        assert await ada.page.evaluate("window.attacked") is None
        ada.problems.clear()


async def test_script_can_read_neither_session_nor_stored_token(meet: Meet) -> None:
    ada = await meet()
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    assert [each.get("httpOnly") for each in await ada.context.cookies()] == [True]
    found = await ada.page.evaluate(
        "async () => [document.cookie, localStorage.length, sessionStorage.length, (await caches.keys()).length,"
        " (await indexedDB.databases()).length, (await navigator.serviceWorker.getRegistrations()).length]"
    )
    assert found == ["", 0, 0, 0, 0, 0]


async def test_the_api_takes_no_cookie(meet: Meet) -> None:
    ada = await meet(expects_failures=True)
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    status = await ada.page.evaluate(f"fetch('/api/{ada.id}/tasks').then((response) => response.status)")
    assert status == 401


@contextlib.asynccontextmanager
async def another_site(html: str) -> AsyncIterator[str]:
    """Serve a page of another site: `localhost` is none of 127.0.0.1."""
    response = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(html)}\r\nConnection: close\r\n\r\n{html}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}/"


async def test_another_site_can_neither_sign_out_nor_delete(meet: Meet) -> None:
    ada = await meet()
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    for endpoint, body in (("sign-out", "{}"), ("delete-user", f'{{"password": "{PASSWORD}"}}')):
        url, other = f"{ada.url}/api/auth/{endpoint}", await ada.context.new_page()
        # What a form sends as text can be JSON.
        field = f"""<input name='{body[:-1] or "{"}{"," if body[1:-1] else ""}"x": "' value='"}}'>"""
        async with another_site(
            f"<form method=post action='{url}' enctype='text/plain'>{field}</form>"
        ) as site:
            await other.goto(site)
            for content_type in ("text/plain", "application/json"):
                with contextlib.suppress(Error):  # the response cannot be read
                    await other.evaluate(
                        "([url, body, type]) => fetch(url, {method: 'POST', credentials: 'include', mode:"
                        " type === 'text/plain' ? 'no-cors' : 'cors', body, headers: {'Content-Type': type}})",
                        [url, body, content_type],
                    )
            with pytest.raises(Error, match="Failed to fetch"):
                await other.evaluate(
                    "(url) => fetch(url, {credentials: 'include'})", f"{ada.url}/api/auth/token"
                )
            async with other.expect_response(url) as responded:
                await other.evaluate("document.forms[0].submit()")
            response = await responded.value
            # Without the cookie, and no endpoint takes what a form can send.
            assert "cookie" not in await response.request.all_headers()
            assert response.status == 415
        await other.close()
    await ada.page.reload()
    await ada.sees("Buy milk")


async def test_another_site_cannot_frame_the_page(meet: Meet) -> None:
    ada = await meet()
    other = await ada.context.new_page()
    async with another_site(f"<iframe src='{ada.url}/'></iframe>") as site:
        await other.goto(site)
        _, frame = other.frames
        assert frame.url == "chrome-error://chromewebdata/"
