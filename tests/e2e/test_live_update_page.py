"""`tilt up -- --web` by hand: what the Tiltfile hands to the cluster, and a saved file on its way to the browser."""

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.async_api import async_playwright, expect

from deploy.render_page import ARGUMENTS
from tests.e2e.conftest import Images
from tests.support.cluster import Namespace, registry
from tests.support.docker import ROOT, docker
from tests.support.tiltfile import Evaluated, evaluate
from tests.support.waiting import poll_until, scaled

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE, SERVER = Path("frontend/src/pages/SignIn.tsx"), Path("frontend/server/app.ts")


@dataclass(frozen=True)
class Tilt:
    """The resources of `tilt up -- --web`, and the steps of the live update of the page."""

    namespace: Namespace
    evaluated: Evaluated

    def pod(self) -> tuple[str, str, int]:
        """Return name, address and number of restarts of the page's pod."""
        (pod,) = self.namespace.get("pods", "--selector=app.kubernetes.io/component=web")
        (container,) = (each for each in pod["status"]["containerStatuses"] if each["name"] == "web")
        return pod["metadata"]["name"], pod["status"]["podIP"], container["restartCount"]

    def save(self, path: Path, text: str) -> None:
        """Copy a file into the pod as Tilt does: where its sync leads to, by the container's own tar."""
        (build,) = (
            call for call in self.evaluated.calls["docker_build"] if call[""][0] == "task-service-frontend"
        )
        (target,) = (
            str(Path(step[2]) / path.relative_to(step[1]))
            for step in build["live_update"]
            if step[0] == "sync" and path.is_relative_to(step[1])
        )
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(target.lstrip("/"))
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
        command = ("kubectl", "-n", self.namespace.name, "exec", "-i", self.pod()[0], "--container=web", "--")
        subprocess.run([*command, "tar", "-C", "/", "-x", "-f", "-"], input=archive.getvalue(), check=True)


@pytest.fixture(scope="module")
def tilt(namespace: Namespace, images: Images) -> Iterator[Tilt]:
    built = {
        "task-service": (f"{images.current}-dev", ROOT),
        "task-service-frontend": (f"{registry()}/task-service-frontend:{namespace.name}", ROOT / "frontend"),
    }
    for image, context in built.values():
        docker("build", "--quiet", "--target=dev", "--tag", image, str(context))
        docker("push", "--quiet", image)
    evaluated = evaluate(namespace=namespace.name, web=True)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": evaluated.manifests})
    for name, (image, _) in built.items():
        text = text.replace(f'"{name}:dev"', f'"{image}"')
    text = text.replace('"postgres:18"', f'"{images.postgres}"')
    try:
        namespace.kubectl("apply", "-f", "-", text=text)
        namespace.kubectl("wait", "--for=condition=Complete", "job", "--all", "--timeout=240s")
        namespace.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=240s")
        yield Tilt(namespace, evaluated)
    finally:
        docker("image", "rm", built["task-service-frontend"][0], check=False)


async def test_a_saved_file_reaches_the_open_page(tilt: Tilt) -> None:
    pod, address, _ = tilt.pod()
    source = (ROOT / PAGE).read_text()
    assert '<Frame title="Sign in">' in source
    expect.set_options(timeout=scaled(20) * 1000)
    seconds = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = await browser.new_page(base_url=f"http://{address}:3000")
        await page.goto("/sign-in")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        for number in range(1, 6):
            started = time.time()
            tilt.save(PAGE, source.replace('title="Sign in"', f'title="Saved {number}"'))
            await expect(page.get_by_role("heading", level=1)).to_have_text(f"Saved {number}")
            seconds.append(time.time() - started)
        await browser.close()
    print(f"saved and shown in the browser: {', '.join(f'{each:.1f}' for each in seconds)} s")
    assert tilt.pod() == (pod, address, 0)


async def test_a_saved_file_of_the_server_restarts_the_server_in_its_pod(tilt: Tilt) -> None:
    pod, address, _ = tilt.pod()
    source = (ROOT / SERVER).read_text()
    tilt.save(SERVER, source.replace('xFrameOptions: "DENY"', 'xFrameOptions: "SAMEORIGIN"'))
    async with httpx.AsyncClient(base_url=f"http://{address}:3000", timeout=scaled(5)) as client:

        async def is_served() -> bool:
            return bool((await client.get("/sign-in")).headers.get("x-frame-options") == "SAMEORIGIN")

        await poll_until(is_served, retried=(httpx.TransportError,), what="the changed header")
    assert tilt.pod() == (pod, address, 0)
