"""Renders the page with Chromium to docs/images, light and dark: `python -m deploy.render_page`."""

import asyncio
import tempfile
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page, async_playwright, expect

from deploy.full_stack import full_stack

__all__ = ["ARGUMENTS", "main"]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
"""Arguments of Chromium for machines without a display, a GPU and the internet."""

_IMAGES = Path(__file__).parents[1] / "docs" / "images"
_PORT = 3999
_PASSWORD = "correct horse battery staple"  # noqa: S105 - of an account that is deleted with its database
_TASKS = (
    "Book the dentist",
    "Return library books",
    "Water the tomatoes",
    "Send Grace the draft of chapter two",
    "Buy oat milk",
    "Plan the weekend trip",
    "Call Mum",
)


async def _fill(page: Page, name: str) -> None:
    """Sign up and create the tasks of the picture."""
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_label("E-mail").fill(f"{name}@example.com")
    await page.get_by_label("Password", exact=True).fill(_PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    for title in _TASKS:
        await page.get_by_label("New task").fill(title)
        await page.get_by_label("New task").press("Enter")
    await page.get_by_role("checkbox", name="Buy oat milk").check()
    await page.get_by_role("checkbox", name="Return library books").check()
    await page.locator("button.title").filter(has_text="Plan the weekend trip").click()
    await page.get_by_label("Notes").fill("Trains on Friday after five\nAsk about the cabin")
    await page.get_by_label("Due").fill("2026-11-27")
    await page.get_by_label("Tags").fill("family")
    await page.get_by_label("Notes").press("Control+Enter")
    await page.locator("button.title").filter(has_text="Send Grace").click()
    await page.get_by_label("Due").fill("2026-11-25")
    await page.get_by_label("Priority").select_option("High")
    await page.get_by_label("Tags").fill("work, book")
    await page.get_by_label("Title").press("Enter")
    await expect(page.locator(".task:not([data-state=saved])")).to_have_count(0)
    await page.get_by_label("New task").focus()


async def _render(browser: Browser, url: str, scheme: Literal["light", "dark"]) -> None:
    context = await browser.new_context(
        base_url=url, color_scheme=scheme, viewport={"width": 760, "height": 840}, device_scale_factor=1.5
    )
    page = await context.new_page()
    # The greeting depends on the hour.
    await page.clock.set_fixed_time("2026-11-26T09:30:00")
    await page.goto("/sign-up")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await page.screenshot(path=_IMAGES / f"page-sign-up-{scheme}.png")
    await _fill(page, scheme)
    await page.mouse.move(0, 0)
    await page.screenshot(path=_IMAGES / f"page-{scheme}.png")
    await context.close()


async def _render_both(data: Path) -> None:
    async with full_stack(_PORT, data) as stack, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        await _render(browser, stack.url, "light")
        await _render(browser, stack.url, "dark")
        await browser.close()


def main() -> None:
    """Write the images."""
    with tempfile.TemporaryDirectory() as name:
        # As root PostgreSQL runs as another user, who must be able to enter.
        Path(name).chmod(0o755)
        asyncio.run(_render_both(Path(name) / "data"))


if __name__ == "__main__":
    main()
