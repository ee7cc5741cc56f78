"""What a first visit costs, enforced."""

import gzip

from playwright.async_api import Request, Response, expect

from deploy.full_stack import FRONTEND, SERVER
from tests.browser.conftest import Meet

SCRIPT_MAX_BYTES = 20 * 1024
SERVER_MAX_BYTES = 2_700_000

WEB_VITALS = """
async () => {
  const entries = (type) => new Promise((done) => {
    new PerformanceObserver((list) => done(list.getEntries())).observe({type, buffered: true});
    setTimeout(() => done([]), 100);  // there may be none
  });
  const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
  const [paints, shifts, tasks] = await Promise.all(["largest-contentful-paint", "layout-shift", "longtask"].map(entries));
  return [
    paints.at(-1).startTime,
    sum(shifts.filter((each) => !each.hadRecentInput).map((each) => each.value)),
    sum(tasks.map((each) => Math.max(0, each.duration - 50))),
  ];
}
"""
"""Of the page since its navigation, by the browser's performance API."""


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
    paint, shift, blocking = await ada.page.evaluate(WEB_VITALS)
    print(
        f"largest contentful paint {paint:.0f} ms, cumulative layout shift {shift:.4f},"
        f" total blocking time {blocking:.0f} ms"
    )
    assert shift < 0.1


async def test_sizes(meet: Meet) -> None:
    ada = await meet()
    scripts: list[Response] = []
    ada.page.on(
        "response",
        lambda response: scripts.append(response) if response.request.resource_type == "script" else None,
    )
    await ada.page.reload()
    await ada.sees()
    compressed = sum([len(gzip.compress(await script.body())) for script in scripts])
    built = [path.read_bytes() for path in (FRONTEND / "dist" / "client" / "assets").glob("*.js")]
    assert [len(await script.body()) for script in scripts] == [len(script) for script in built]
    server = sum(path.stat().st_size for path in SERVER.parent.rglob("*.js"))
    print(f"first-load JavaScript {compressed / 1024:.1f} KiB gzip; server {server / 1e6:.2f} MB")
    assert compressed <= SCRIPT_MAX_BYTES
    assert server <= SERVER_MAX_BYTES
