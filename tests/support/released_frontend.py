"""The chart's frontend on a cluster, behind its ingress with TLS, and browsers that open it by its public name."""

import contextlib
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

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

__all__ = ["ReleasedFrontend", "release_frontend", "sign_up", "visit"]

_REPORT_ERRORS = """
const shown = new WeakMap();
new MutationObserver(() => {
  const errors = document.querySelectorAll("[role=alert]:not([hidden]), .banner, .task[data-state=failed], .broken, .toast");
  for (const each of errors) {
    const text = each.textContent;
    if (shown.get(each) === text || (each.matches(".toast") && !text.startsWith("Not saved"))) continue;
    shown.set(each, text);
    console.error(`shown: ${text}`);
  }
}).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
"""


@dataclass(frozen=True)
class ReleasedFrontend:
    """The release `demo` with two pods of the service and two of the frontend.

    Attributes:
        namespace: Where it is.
        host: Its public name, which no name server resolves.
        ingress: Address of the ingress, with TLS.
        folder: Has the certificate, `tls.crt` and `tls.key`.
    """

    namespace: Namespace
    host: str
    ingress: SplitResult
    folder: Path

    @property
    def url(self) -> str:
        """The origin that browsers open."""
        return f"https://{self.host}:{self.ingress.port}"

    @contextlib.asynccontextmanager
    async def person(
        self, *, through: int | None = None, may_see_errors: bool = False, **options: Any
    ) -> AsyncIterator[Person]:
        """Open a browser. An error that the browser reports or that the page shows fails the test.

        Args:
            through: Port of a proxy on 127.0.0.1 in front of the ingress; None: the ingress itself.
            may_see_errors: Whether the page may show errors.
            options: Of `Person.open`.
        """
        expect.set_options(timeout=scaled(10) * 1000)
        port = through or self.ingress.port
        resolve = f"--host-resolver-rules=MAP {self.host}:{self.ingress.port} {self.ingress.hostname}:{port}"
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=[*ARGUMENTS, resolve]
            )
            person = await Person.open(
                browser,
                self.url,
                signed_up=False,
                expects_failures=True,
                ignore_https_errors=True,  # the certificate is self-signed
                **options,
            )
            if not may_see_errors:
                await person.context.add_init_script(_REPORT_ERRORS)
            yield person
            assert await person.close() == []
            await browser.close()

    def pods(self, component: str) -> list[Any]:
        """Return the pods of a component that are not terminating."""
        selector = f"--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component={component}"
        return [
            pod for pod in self.namespace.get("pods", selector) if "deletionTimestamp" not in pod["metadata"]
        ]

    def stored(self, person: Person) -> list[tuple[str, bool]]:
        """Return a person's tasks in the database, as title and `completed`, oldest first."""
        rows = self.namespace.sql(
            "SELECT title, completed FROM tasks JOIN users ON users.id = user_id"  # noqa: S608 - made by the test
            f" WHERE email = '{person.email}' ORDER BY tasks.id"
        )
        return [(title, completed == "t") for title, completed in (row.rsplit("|", 1) for row in rows)]


@contextlib.contextmanager
def release_frontend(namespace: Namespace, folder: Path) -> Iterator[ReleasedFrontend]:
    """Install the release `demo` with the frontend of this checkout, and remove it at the end.

    Args:
        namespace: Where to.
        folder: For the certificate.
    """
    address = os.environ.get("INGRESS_TLS_URL")
    if address is None:
        if os.environ.get("CI") == "true":
            pytest.fail("INGRESS_TLS_URL is not set, and CI=true: nothing may be skipped")
        pytest.skip("INGRESS_TLS_URL is not set")
    image = f"{registry()}/task-service-frontend:{namespace.name}"
    # A name of its own: an ingress may still have the rules of a namespace that is being deleted.
    host = f"{namespace.name}.example.com"
    released = ReleasedFrontend(namespace, host, urlsplit(address), folder)
    docker("build", "--quiet", "--tag", image, str(ROOT / "frontend"))
    try:
        docker("push", "--quiet", image)
        _certificate(released)
        namespace.secret("sessions", secret="s" * 40)
        namespace.upgrade(
            "demo",
            *("auth.existingSecret=", f"auth.betterAuthUrl={released.url}"),
            *("frontend.enabled=true", "frontend.existingSecret=sessions"),
            *(
                f"frontend.image.repository={image.rpartition(':')[0]}",
                f"frontend.image.tag={namespace.name}",
            ),
            *("ingress.enabled=true", f"ingress.hosts[0]={host}", f"ingress.tls[0].hosts[0]={host}"),
            *("ingress.tls[0].secretName=certificate", "trustedProxies[0]=0.0.0.0/0"),
        )
        _wait_until_reachable(released)
        yield released
        namespace.helm("uninstall", "demo", "--wait")
    finally:
        docker("image", "rm", image, check=False)


def _certificate(released: ReleasedFrontend) -> None:
    key, certificate = released.folder / "tls.key", released.folder / "tls.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={released.host}",
         "-addext", f"subjectAltName=DNS:{released.host}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    released.namespace.kubectl(
        "create", "secret", "tls", "certificate", f"--cert={certificate}", f"--key={key}"
    )


def _wait_until_reachable(released: ReleasedFrontend) -> None:
    context = ssl.create_default_context(cafile=str(released.folder / "tls.crt"))
    address = f"https://{released.ingress.netloc}"
    with httpx.Client(
        base_url=address, headers={"Host": released.host}, verify=context, timeout=10
    ) as client:
        request = client.build_request("GET", "/sign-in", extensions={"sni_hostname": released.host})

        def is_served() -> bool:
            try:
                return client.send(request).status_code == 200
            except httpx.TransportError:  # before the ingress has the certificate
                return False

        wait_until(is_served, 60, what="the ingress leads to the page")


async def visit(page: Page, path: str) -> None:
    """Open a page; Chromium breaks connections off when a pod of this machine gets or loses its interface."""

    async def opened() -> bool:
        await page.goto(path)
        return True

    await poll_until(opened, retried=(PlaywrightError,), what=f"{path} opens")


async def sign_up(person: Person) -> None:
    """Create an account by the form."""
    page = person.page
    await visit(page, "/sign-up")
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_label("E-mail").fill(person.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", name="A clear head starts here")).to_be_visible()
