"""The chart's frontend on a cluster: a browser through the ingress with TLS, two replicas, a rolling update of both."""

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, async_playwright, expect

from deploy.render_page import ARGUMENTS
from tests.browser.person import Person
from tests.support.cluster import Namespace, registry, wait_until
from tests.support.docker import ROOT, docker
from tests.support.frontend import PASSWORD
from tests.support.waiting import poll_until, scaled

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(900)]

HOST = "tasks.example.com"


@pytest.fixture(scope="module")
def released(
    namespace: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Namespace, str]]:
    address = os.environ.get("INGRESS_TLS_URL")
    if address is None:
        if os.environ.get("CI") == "true":
            pytest.fail("INGRESS_TLS_URL is not set, and CI=true: nothing may be skipped")
        pytest.skip("INGRESS_TLS_URL is not set")
    image = f"{registry()}/task-service-frontend:{namespace.name}"
    docker("build", "--quiet", "--tag", image, str(ROOT / "frontend"))
    docker("push", "--quiet", image)
    _certificate(namespace, tmp_path_factory.mktemp("certificate"))
    namespace.secret("sessions", secret="s" * 40)
    url = f"https://{HOST}:{urlsplit(address).port}"
    try:
        namespace.upgrade(
            "demo",
            *("auth.existingSecret=", f"auth.betterAuthUrl={url}"),
            *("frontend.enabled=true", "frontend.existingSecret=sessions"),
            *(
                f"frontend.image.repository={image.rpartition(':')[0]}",
                f"frontend.image.tag={namespace.name}",
            ),
            *("ingress.enabled=true", f"ingress.hosts[0]={HOST}", f"ingress.tls[0].hosts[0]={HOST}"),
            *("ingress.tls[0].secretName=certificate", "trustedProxies[0]=0.0.0.0/0"),
        )
        yield namespace, url
        namespace.helm("uninstall", "demo", "--wait")
    finally:
        docker("image", "rm", image, check=False)


def _certificate(namespace: Namespace, folder: Path) -> None:
    key, certificate = folder / "tls.key", folder / "tls.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}",
         "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    namespace.kubectl("create", "secret", "tls", "certificate", f"--cert={certificate}", f"--key={key}")


@pytest.fixture
async def ada(released: tuple[Namespace, str]) -> AsyncIterator[Person]:
    """A person who opens the page by its public name."""
    _, url = released
    address = urlsplit(os.environ["INGRESS_TLS_URL"])
    # The name resolves in no name server, and the certificate is new and self-signed.
    resolve = f"--host-resolver-rules=MAP {HOST} {address.hostname}"
    await asyncio.to_thread(_reachable, address.geturl())
    expect.set_options(timeout=scaled(10) * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*ARGUMENTS, resolve]
        )
        person = await Person.open(
            browser, url, signed_up=False, expects_failures=True, ignore_https_errors=True
        )
        yield person
        assert await person.close() == []
        await browser.close()


def _reachable(address: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with httpx.Client(base_url=address, headers={"Host": HOST}, verify=context, timeout=10) as client:
        request = client.build_request("GET", "/sign-in", extensions={"sni_hostname": HOST})
        wait_until(lambda: client.send(request).status_code == 200, 60, what="the ingress leads to the page")


async def visit(page: Page, path: str) -> None:
    """Open a page; Chromium breaks connections off when a pod of this machine gets or loses its interface."""

    async def opened() -> bool:
        await page.goto(path)
        return True

    await poll_until(opened, retried=(PlaywrightError,), what=f"{path} opens")


def test_helm_test_signs_up_and_creates_a_task(released: tuple[Namespace, str]) -> None:
    said = released[0].helm("test", "demo", "--logs", "--timeout=120s").stdout
    assert "POST /api/auth/sign-up/email: 200" in said
    assert "tasks: 201" in said


async def test_from_sign_up_to_a_completed_task_while_both_deployments_roll(
    released: tuple[Namespace, str], ada: Person
) -> None:
    namespace, _ = released
    page = ada.page
    await visit(page, "/sign-up")
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_label("E-mail").fill(ada.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", name="A clear head starts here")).to_be_visible()
    (session,) = (each for each in await ada.context.cookies() if "session_token" in (each.get("name") or ""))
    assert (session.get("name"), session.get("secure")) == ("__Secure-better-auth.session_token", True)

    def roll() -> None:
        for name in ("demo-task-service", "demo-task-service-web"):
            namespace.kubectl("rollout", "restart", f"deployment/{name}")
            namespace.kubectl("rollout", "status", f"deployment/{name}", "--timeout=240s")

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
    await expect(page.get_by_text("Not saved")).to_have_count(0)
    print(f"{count} tasks added and completed during a rolling update of both deployments")
    while await page.get_by_role("button", name="More tasks").count():
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    titles = await page.locator(".task .title").all_text_contents()
    assert titles == [f"task {number}" for number in range(count, 0, -1)]
