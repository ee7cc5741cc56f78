"""The frontend on a cluster while the database stops, the signing key is rotated, and a proxy compresses the responses."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Request, Response, expect

from tests.browser.person import Person
from tests.e2e.conftest import database_stopped
from tests.support.docker import ROOT
from tests.support.pages import shell_blocks
from tests.support.released_frontend import ReleasedFrontend, sign_up, visit
from tests.support.waiting import poll_until, scaled
from tests.support.workers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(900)]

_COMPRESSING = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  gzip on; gzip_proxied any; gzip_min_length 1; gzip_types application/json application/problem+json;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate}/tls.crt;
    ssl_certificate_key {certificate}/tls.key;
    location / {{
      proxy_pass https://{ingress};
      proxy_ssl_server_name on; proxy_ssl_name {host};
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""


def restarts(released: ReleasedFrontend) -> int:
    return sum(
        each["restartCount"]
        for component in ("api", "web")
        for pod in released.pods(component)
        for each in pod["status"]["containerStatuses"]
    )


async def test_an_outage_of_the_database_is_explained_and_survived(
    released_frontend: ReleasedFrontend,
) -> None:
    async with released_frontend.person(may_see_errors=True) as ada:
        await sign_up(ada)
        await ada.add("before")
        await ada.sees("before")
        page, tab = ada.page, await ada.context.new_page()
        ada.watch(tab)
        async with database_stopped(released_frontend.namespace):
            await visit(tab, "/")
            await expect(tab.get_by_text("You are still signed in")).to_be_visible()
            await ada.add("meanwhile")
            await expect(ada.task("meanwhile")).to_contain_text("Not saved")
            await expect(ada.task("before")).to_be_visible()
            assert len(released_frontend.pods("web")) == 2
        # Without a reload.
        await expect(tab.get_by_role("heading", level=1)).to_contain_text("Ada")
        await page.get_by_role("button", name="Try again").click()
        await ada.sees("meanwhile", "before")
        await visit(tab, "/")
        await ada.sees("meanwhile", "before", page=tab)
    assert released_frontend.stored(ada) == [("before", False), ("meanwhile", False)]
    assert restarts(released_frontend) == 0


def statements(heading: str) -> list[str]:
    """Return the SQL of a section of docs/operations.md."""
    _, _, section = (ROOT / "docs" / "operations.md").read_text().partition(f"## {heading}\n")
    found = re.findall(r"```sql\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    assert found
    return found


def watched(page: Page) -> tuple[list[str], list[int]]:
    """Return the tokens that a page sends to the API from now on, and the statuses that it gets."""
    tokens: list[str] = []
    statuses: list[int] = []

    def requested(request: Request) -> None:
        if "/tasks" in request.url:
            tokens.append(request.headers["authorization"])

    def responded(response: Response) -> None:
        if "/tasks" in response.url:
            statuses.append(response.status)

    page.on("request", requested)
    page.on("response", responded)
    return tokens, statuses


async def test_a_rotated_signing_key_signs_nobody_out(
    released_frontend: ReleasedFrontend, ada: Person
) -> None:
    namespace = released_frontend.namespace
    retire, withdraw = statements("Rotate the signing key")
    tab = await ada.context.new_page()
    ada.watch(tab)
    tokens, statuses = watched(ada.page)
    new_tokens, new_statuses = watched(tab)
    await ada.add("with the first key")
    await ada.sees("with the first key")

    namespace.sql(retire)
    # A page that is opened now gets a token of the new key; the old key remains published for tokens that it has signed.
    await visit(tab, "/")
    await ada.sees("with the first key", page=tab)
    await tab.get_by_label("New task").fill("with the second key")
    await tab.get_by_label("New task").press("Enter")
    await ada.sees("with the second key", "with the first key", page=tab)
    await ada.add("still with the first key")
    await expect(ada.task("still with the first key")).to_have_attribute("data-state", "saved")
    assert set(tokens).isdisjoint(new_tokens)
    assert len(set(tokens)) == len(set(new_tokens)) == 1
    assert set(statuses) | set(new_statuses) <= {200, 201}

    namespace.sql(withdraw)
    (left,) = namespace.sql('SELECT count(*) FILTER (WHERE "expiresAt" IS NULL), count(*) FROM jwks')
    assert left == "1|1"
    old = [f"pod/{pod['metadata']['name']}" for pod in released_frontend.pods("api")]
    await asyncio.to_thread(namespace.kubectl, "rollout", "restart", "deployment/demo-task-service")
    await asyncio.to_thread(namespace.kubectl, "wait", "--for=delete", *old, "--timeout=240s")
    # The token of the withdrawn key is rejected, and replaced without a word.
    await ada.add("with the second key as well")
    await expect(ada.task("with the second key as well")).to_have_attribute("data-state", "saved")
    assert statuses[-2:] == [401, 201]
    assert len(set(tokens)) == 2
    assert len(released_frontend.stored(ada)) == 4


def test_commands_of_the_page_of_operations_work(released_frontend: ReleasedFrontend) -> None:
    state, reasons = shell_blocks(ROOT / "docs" / "operations.md")["When sign-in fails"]
    environment = os.environ | {"NAMESPACE": released_frontend.namespace.name, "RELEASE": "demo"}

    def output(block: str) -> str:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=scaled(30),
        ).stdout

    shown = output(state)
    assert len(re.findall(r"^pod/demo-task-service-web-\w+-\w+ +1/1 +Running", shown, re.MULTILINE)) == 2
    assert "job.batch/demo-task-service-web-migrate-" in shown
    shown = output(reasons)
    assert shown.count('{"status":"ready"}') == 2
    # The service has fetched the keys.
    assert 'http_route="/api/auth/jwks",http_response_status_code="200"' in shown


@contextlib.asynccontextmanager
async def compressing(released: ReleasedFrontend, folder: Path) -> AsyncIterator[int]:
    """Run nginx with `gzip on` in front of the ingress, and return its port."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert program, "apt-get install nginx-light"
    port, file = free_port(), folder / "nginx.conf"
    file.write_text(
        _COMPRESSING.format(
            folder=folder,
            port=port,
            certificate=released.folder,
            ingress=released.ingress.netloc,
            host=released.host,
        )
    )
    process = await asyncio.create_subprocess_exec(program, "-c", file, "-e", folder / "error")

    async def listens() -> bool:
        assert process.returncode is None, (folder / "error").read_text()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True

    try:
        await poll_until(listens, what="nginx listens", retried=(ConnectionError,))
        yield port
    finally:
        process.kill()
        await process.wait()


async def test_responses_that_an_ingress_compresses_still_work(
    released_frontend: ReleasedFrontend, tmp_path: Path
) -> None:
    async with (
        compressing(released_frontend, tmp_path) as port,
        released_frontend.person(through=port) as ada,
    ):
        responses: list[Response] = []
        ada.page.on("response", lambda response: responses.append(response))  # noqa: PLW0108 - it cannot wrap a method of a list
        await sign_up(ada)
        await ada.add("Buy milk", "Call Mum")
        await ada.sees("Call Mum", "Buy milk")
        await visit(ada.page, "/")
        await ada.sees("Call Mum", "Buy milk")
        await ada.edit("Buy milk", "Buy oat milk")
        await ada.sees("Call Mum", "Buy oat milk")
        api = [
            each for each in responses if "/tasks" in each.url and each.status == 200
        ]  # nginx leaves 201 as it is
        assert {each.headers.get("content-encoding") for each in api} == {"gzip"}
        tags = [
            each.headers["etag"] for each in api if each.request.method == "GET" and "/tasks/" in each.url
        ]
        assert tags == ['W/"v1"']
        # Still a conflict: the strong tag is sent, and another client has changed the task.
        tab = await ada.tab()
        await ada.title("Call Mum").click()
        await ada.edit("Call Mum", "Call Dad", tab)
        await expect(ada.task("Call Dad", tab)).to_have_attribute("data-state", "saved")
        await ada.page.get_by_label("Title").fill("Call Grandma")
        await ada.page.get_by_label("Title").press("Enter")
        conflict = ada.page.get_by_role("group", name="Changed elsewhere")
        await conflict.get_by_role("button", name="Keep yours", exact=True).click()
        await ada.sees("Call Grandma", "Buy oat milk")
        assert [each for each in responses if each.status == 412] == []
    assert [title for title, _ in released_frontend.stored(ada)] == ["Buy oat milk", "Call Grandma"]
