"""A person with a browser: what they see and do, by roles and labels."""

import itertools
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Route, expect

from tests.support.frontend import PASSWORD
from tests.support.waiting import scaled

__all__ = ["Person", "with_boot"]

_ADDRESSES = itertools.count(1)

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@dataclass
class Person:
    """A browser context of its own, and its page.

    `expects_failures`: responses of 4xx and 5xx, and failed connections, are part of the test. Chromium logs each as an error.
    """

    context: BrowserContext
    page: Page
    url: str
    email: str
    expects_failures: bool = False
    id: str = ""
    problems: list[str] = field(default_factory=list)

    @classmethod
    async def open(
        cls,
        browser: Browser,
        url: str,
        *,
        signed_up: bool = True,
        expects_failures: bool = False,
        **options: Any,
    ) -> "Person":
        """Open a browser; with `signed_up` the person has an account and sees the empty list."""
        # The trusted proxy reports an address for each browser, so that the rate limits count each on its own.
        address = f"203.0.113.{next(_ADDRESSES) % 250}"
        context = await browser.new_context(
            base_url=url, extra_http_headers={"X-Forwarded-For": address}, **options
        )
        context.set_default_timeout(scaled(10) * 1000)
        await context.add_init_script(_REPORT_VIOLATIONS)
        person = cls(context, await context.new_page(), url, f"{uuid4().hex}@example.com", expects_failures)
        person.watch(person.page)
        if signed_up:
            answer = await context.request.post(
                "/api/auth/sign-up/email",
                data={"name": "Ada Lovelace", "email": person.email, "password": PASSWORD},
                headers={"Origin": url},
            )
            assert answer.ok, await answer.text()
            person.id = (await answer.json())["user"]["id"]
            await person.page.goto("/")
            await expect(person.page.get_by_role("heading", name="A clear head starts here")).to_be_visible()
        return person

    def watch(self, page: Page) -> None:
        """Collect what the browser reports of this page."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._requested(request.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if self.expects_failures and message.text.startswith("Failed to load resource"):
            return
        self.problems.append(f"{message.type}: {message.text}")

    def _requested(self, url: str) -> None:
        if not url.startswith((f"{self.url}/", "data:")):
            self.problems.append(f"request to another host: {url}")

    async def close(self) -> list[str]:
        """Close the browser, and return what it has reported, and what JavaScript could read of the session."""
        state = await self.context.storage_state()
        if "eyJ" in json.dumps(state):  # how every token starts
            self.problems.append(f"a token is stored: {state}")
        self.problems += [
            f"a cookie is open to JavaScript: {each}" for each in state["cookies"] if not each["httpOnly"]
        ]
        await self.context.close()
        return self.problems

    async def tab(self) -> Page:
        """Open another tab of the same browser."""
        page = await self.context.new_page()
        self.watch(page)
        await page.goto("/")
        return page

    async def add(self, *titles: str) -> None:
        """Type new tasks, each ended by Enter."""
        field = self.page.get_by_label("New task")
        for title in titles:
            await field.fill(title)
            await field.press("Enter")

    def task(self, title: str, page: Page | None = None) -> Locator:
        """Return the row of a task."""
        page = page or self.page
        return page.get_by_role("listitem").filter(has=page.get_by_role("checkbox", name=title, exact=True))

    def title(self, title: str) -> Locator:
        """Return the title of a task, a button that opens its editor."""
        return self.page.locator("button.title").filter(has_text=title)

    async def edit(self, title: str, new_title: str, page: Page | None = None) -> None:
        """Change a title in its row."""
        page = page or self.page
        await page.locator("button.title").filter(has_text=title).click()
        await page.get_by_label("Title").fill(new_title)
        await page.get_by_label("Title").press("Enter")

    async def sees(self, *titles: str, page: Page | None = None) -> None:
        """Wait until the list has exactly these titles, all of them saved."""
        page = page or self.page
        await expect(page.locator(".task .title")).to_have_text(list(titles))
        await expect(page.locator(".task:not([data-state=saved])")).to_have_count(0)

    async def api(self, method: str, path: str = "", data: Any = None) -> Any:
        """Call the API as another client of the same user does; return the body of the response."""
        token = (await (await self.context.request.get("/api/auth/token")).json())["token"]
        answer = await self.context.request.fetch(
            f"/api/{self.id}/tasks{path}",
            method=method,
            data=data,
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.ok, await answer.text()
        return None if answer.status == 204 else await answer.json()

    async def titles(self) -> list[str]:
        """Return what the service has stored, newest first."""
        return [task["title"] for task in (await self.api("GET"))["tasks"]]


def with_boot(boot: str) -> Callable[[Route], Awaitable[None]]:
    """Return a handler that replaces the data of the server in the page."""

    async def replace(route: Route) -> None:
        answer = await route.fetch()
        body = re.sub(r'(id="boot">).*?(</script>)', rf"\g<1>{boot}\2", await answer.text())
        await route.fulfill(response=answer, body=body)

    return replace
