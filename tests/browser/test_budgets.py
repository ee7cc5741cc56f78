"""What a first visit costs, enforced."""

import gzip

from playwright.async_api import Request, expect

from deploy.full_stack import FRONTEND, SERVER
from tests.browser.conftest import Meet

SCRIPT_MAX_BYTES = 20 * 1024
SERVER_MAX_BYTES = 2_700_000


async def test_list_shows_after_one_request_to_the_api(meet: Meet) -> None:
    ada = await meet()
    await ada.add("Buy milk")
    await ada.sees("Buy milk")
    requests: list[Request] = []
    ada.page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - it cannot wrap a method of a list
    await ada.page.reload()
    await ada.sees("Buy milk")
    await expect(ada.page.get_by_label("New task")).to_be_focused()
    assert [each.url for each in requests if "/api/" in each.url] == [
        f"{ada.url}/api/{ada.id}/tasks?limit=50"
    ]
    assert len(requests) <= 6  # page, script, style, list; the icon in the page and in the tab
    paints = await ada.page.evaluate(
        "new Promise((done) => new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime))"
        ".observe({type: 'largest-contentful-paint', buffered: true}))"
    )
    shifts = await ada.page.evaluate(
        "new Promise((done) => { let sum = 0; new PerformanceObserver((list) => {"
        " for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value; })"
        ".observe({type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 100); })"
    )
    print(f"largest contentful paint {paints:.0f} ms, cumulative layout shift {shifts:.4f}")
    assert shifts < 0.1


async def test_sizes(meet: Meet) -> None:
    await meet(signed_up=False)  # builds
    scripts = [path.read_bytes() for path in (FRONTEND / "dist" / "client" / "assets").glob("*.js")]
    compressed = sum(len(gzip.compress(script)) for script in scripts)
    server = sum(path.stat().st_size for path in SERVER.parent.rglob("*.js"))
    print(f"first-load JavaScript {compressed / 1024:.1f} KiB gzip; server {server / 1e6:.2f} MB")
    assert compressed <= SCRIPT_MAX_BYTES
    assert server <= SERVER_MAX_BYTES
