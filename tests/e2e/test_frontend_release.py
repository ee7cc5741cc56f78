"""The chart's frontend on a cluster: a browser through the ingress with TLS, two replicas, a rolling update of both."""

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.person import Person
from tests.support.cluster import kubectl
from tests.support.frontend import PASSWORD
from tests.support.released_frontend import ReleasedFrontend, visit
from tests.support.waiting import poll_until

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(900)]

# Both pods of the frontend and both of the service, one after the other; it prints what each returned.
_ALTERNATE = """
import base64, httpx, json, sys
origin, email, password, first, second, *services = sys.argv[1:]
def call(pod, method, path, client="198.51.100.1", **options):
    headers = {"Origin": origin, "X-Forwarded-For": client, **options.pop("headers", {})}
    return httpx.request(method, f"http://{pod}:3000/api/auth/{path}", headers=headers, timeout=30, **options)
body = {"name": "Grace", "email": email, "password": password}
signed_up = call(first, "POST", "sign-up/email", json=body)
cookie = {"Cookie": signed_up.headers["set-cookie"].partition(";")[0]}
user = signed_up.json()["user"]["id"]
tokens = [call(pod, "GET", "token", headers=cookie).json()["token"] for pod in (first, second)]
found = {
    "users": [call(pod, "GET", "get-session", headers=cookie).json()["user"]["email"] for pod in (first, second)],
    "key sets": [sorted(key["kid"] for key in call(pod, "GET", "jwks").json()["keys"]) for pod in (first, second)],
    "keys": [json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"] for token in tokens],
    "tasks": [
        httpx.get(f"http://{pod}:8000/api/{user}/tasks", headers={"Authorization": f"Bearer {token}"}).status_code
        for pod in services for token in tokens
    ],
    "sign-out": call(second, "POST", "sign-out", headers=cookie, json={}).status_code,
    "signed out": [call(pod, "GET", "token", headers=cookie).status_code for pod in (first, second)],
}
wrong = {"email": email, "password": "a wrong password"}
found["attempts"] = [
    call(pod, "POST", "sign-in/email", client="198.51.100.2", json=wrong).status_code for pod in (first, second) * 3
]
found["another client"] = call(first, "POST", "sign-in/email", client="198.51.100.3", json=wrong).status_code
print(json.dumps(found))
"""


def test_helm_test_signs_up_and_creates_a_task(released_frontend: ReleasedFrontend) -> None:
    said = released_frontend.namespace.helm("test", "demo", "--logs", "--timeout=120s").stdout
    assert "POST /api/auth/sign-up/email: 200" in said
    assert "tasks: 201" in said


async def test_from_sign_up_to_a_completed_task(released_frontend: ReleasedFrontend, ada: Person) -> None:
    page = ada.page
    (session,) = (each for each in await ada.context.cookies() if "session_token" in (each.get("name") or ""))
    assert session.get("name") == "__Secure-better-auth.session_token"
    assert (session.get("secure"), session.get("httpOnly"), session.get("sameSite")) == (True, True, "Lax")
    await ada.add("Buy milk", "Call Mum")
    await page.get_by_role("checkbox", name="Buy milk").check()
    await ada.sees("Call Mum", "Buy milk")
    await page.get_by_role("link", name="Account of Ada Lovelace").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await ada.sees("Call Mum", "Buy milk")
    await expect(page.get_by_role("checkbox", name="Buy milk")).to_be_checked()
    assert released_frontend.stored(ada) == [("Buy milk", True), ("Call Mum", False)]


async def test_a_rolling_update_of_both_deployments_loses_nothing_and_shows_no_error(
    released_frontend: ReleasedFrontend, ada: Person
) -> None:
    namespace, page = released_frontend.namespace, ada.page
    before = {pod["metadata"]["uid"] for name in ("api", "web") for pod in released_frontend.pods(name)}

    def roll() -> None:
        names = ("deployment/demo-task-service", "deployment/demo-task-service-web")
        namespace.kubectl("rollout", "restart", *names)
        for name in names:
            namespace.kubectl("rollout", "status", name, "--timeout=240s")

    rolling = asyncio.create_task(asyncio.to_thread(roll))
    count = 0
    while not rolling.done() or count < 5:
        count += 1
        await ada.add(f"task {count}")
        await expect(ada.task(f"task {count}")).to_have_attribute("data-state", "saved")
        await page.get_by_role("checkbox", name=f"task {count}", exact=True).check()
        await expect(ada.task(f"task {count}")).to_have_attribute("data-state", "saved")
        await visit(page, "/")
        await expect(page.get_by_role("checkbox", name=f"task {count}", exact=True)).to_be_checked()
    await rolling
    print(f"{count} tasks added and completed during a rolling update of both deployments")
    after = {pod["metadata"]["uid"] for name in ("api", "web") for pod in released_frontend.pods(name)}
    assert len(after) == 4
    assert before.isdisjoint(after)
    assert released_frontend.stored(ada) == [(f"task {number}", True) for number in range(1, count + 1)]
    while await page.get_by_role("button", name="More tasks").count():
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    titles = await page.locator(".task .title").all_text_contents()
    assert titles == [f"task {number}" for number in range(count, 0, -1)]


async def test_rate_limits_keys_and_sessions_hold_across_replicas(
    released_frontend: ReleasedFrontend,
) -> None:
    namespace = released_frontend.namespace
    addresses = [pod["status"]["podIP"] for name in ("web", "api") for pod in released_frontend.pods(name)]
    assert len(addresses) == 4
    found: dict[str, Any] = json.loads(
        kubectl(
            *("-n", namespace.outside, "exec", "deployment/client", "--", "python", "-c", _ALTERNATE),
            *(released_frontend.url, "grace@example.com", PASSWORD, *addresses),
        )
    )
    assert found["users"] == ["grace@example.com"] * 2
    first, second = found["key sets"]
    assert first == second
    assert len(first) == 1
    assert found["keys"] == first * 2
    assert found["tasks"] == [200] * 4
    assert (found["sign-out"], found["signed out"]) == (200, [401, 401])
    assert found["attempts"] == [401, 401, 401, 429, 429, 429]
    assert found["another client"] == 401


async def test_an_account_is_deleted_with_all_its_tasks(
    released_frontend: ReleasedFrontend, ada: Person
) -> None:
    namespace, page = released_frontend.namespace, ada.page
    await ada.add(*(f"task {number}" for number in range(1, 6)))
    await expect(page.locator(".task[data-state=saved]")).to_have_count(5)
    (user,) = namespace.sql(f"SELECT id FROM users WHERE email = '{ada.email}'")  # noqa: S608 - made by the test

    def rows() -> list[str]:
        return namespace.sql(
            f"SELECT (SELECT count(*) FROM users WHERE id = '{user}'),"  # noqa: S608 - made by the service
            f" (SELECT count(*) FROM account WHERE \"userId\" = '{user}'),"
            f" (SELECT count(*) FROM session WHERE \"userId\" = '{user}'),"
            f" (SELECT count(*) FROM tasks WHERE user_id = '{user}')"
        )

    assert rows() == ["1|1|1|5"]
    await page.get_by_role("link", name="Account of").click()
    await page.get_by_text("Delete account …").click()
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Delete account and all tasks").click()
    await expect(page.get_by_text("Your account and all its tasks are deleted.")).to_be_visible()
    await poll_until(lambda: asyncio.to_thread(lambda: rows() == ["0|0|0|0"]), what="no row is left")
    await visit(page, "/")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    ada.problems.remove("error: shown: The e-mail address or the password is wrong.")
