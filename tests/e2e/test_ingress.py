"""The frontend's way in: one host with TLS, the frontend's own path beside ours, CORS as a browser sees it."""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.cluster import Namespace, wait_until
from tests.support.load import run_load
from tests.support.waiting import scaled

pytestmark = [pytest.mark.e2e, pytest.mark.serial, pytest.mark.timeout(600)]

HOST = "tasks.example.com"
ORIGIN = "https://app.example.com"
FRONTEND = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "frontend", "labels": {"app": "frontend"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "frontend",
                        "image": "",
                        "command": ["python", "-m", "http.server", "3000", "--directory", "/usr/share"],
                        "ports": [{"containerPort": 3000}],
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "frontend"},
            "spec": {"selector": {"app": "frontend"}, "ports": [{"port": 3000}]},
        },
    ],
}


@pytest.fixture(scope="module")
def addresses() -> tuple[str, str]:
    """Where the cluster's ingress listens: http and https."""
    plain, secure = os.environ.get("INGRESS_URL"), os.environ.get("INGRESS_TLS_URL")
    if plain is None or secure is None:
        if os.environ.get("CI") == "true":
            pytest.fail("INGRESS_URL or INGRESS_TLS_URL is not set, and CI=true: nothing may be skipped")
        pytest.skip("INGRESS_URL or INGRESS_TLS_URL is not set")
    return plain, secure


@pytest.fixture(scope="module")
def released(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "tls.key", folder / "tls.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}",
         "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    namespace.kubectl("create", "secret", "tls", "certificate", f"--cert={certificate}", f"--key={key}")
    frontend = json.loads(json.dumps(FRONTEND).replace('"image": ""', f'"image": "{namespace.image}"'))
    namespace.kubectl("apply", "-f", "-", text=json.dumps(frontend))
    namespace.upgrade(
        "demo",
        *("ingress.enabled=true", f"ingress.hosts[0]={HOST}", f"ingress.tls[0].hosts[0]={HOST}"),
        *("ingress.tls[0].secretName=certificate", "frontend.service.name=frontend"),
        *(f"allowedOrigins[0]={ORIGIN}", "trustedProxies[0]=0.0.0.0/0"),
    )
    yield namespace
    namespace.helm("uninstall", "demo", "--wait")


@pytest.fixture
def browser(released: Namespace, addresses: tuple[str, str]) -> Iterator[httpx.Client]:
    del released
    # Its own name server would resolve the name; the certificate is new and self-signed, so it is not verified.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with httpx.Client(
        base_url=addresses[1], headers={"Host": HOST}, verify=context, timeout=scaled(5)
    ) as client:
        request = client.build_request("GET", "/api/alice/tasks", extensions={"sni_hostname": HOST})
        wait_until(lambda: client.send(request).status_code == 401, 30, what="the ingress leads here")
        yield client


def test_certificate_is_the_one_of_the_chart(browser: httpx.Client, addresses: tuple[str, str]) -> None:
    address = urlsplit(addresses[1])
    del browser
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"{address.hostname}:{address.port}", "-servername", HOST],
        input="", capture_output=True, text=True, check=False, timeout=scaled(5),
    ).stdout  # fmt: skip
    assert f"subject=CN = {HOST}" in shown


def test_paths_lead_where_they_should(browser: httpx.Client) -> None:
    assert browser.get("/api/alice/tasks").headers["content-type"] == "application/problem+json"
    frontends = browser.get("/api/auth/get-session")
    assert "Error response" in frontends.text  # Python's own file server says so, and we do not
    for path in ("/metrics", "/livez", "/readyz", "/api/../metrics", "/api/%2e%2e/metrics"):
        answer = browser.get(path)
        assert answer.status_code == 404, path
        assert "http_server" not in answer.text


def test_browser_on_another_origin_may_call_and_a_stranger_may_not(
    browser: httpx.Client, released: Namespace
) -> None:
    ask = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, if-match",
    }
    allowed = browser.options("/api/alice/tasks/1", headers={"Origin": ORIGIN, **ask})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in allowed.headers["access-control-allow-methods"]
    stranger = browser.options("/api/alice/tasks/1", headers={"Origin": "https://evil.example.com", **ask})
    assert "access-control-allow-origin" not in stranger.headers
    refused = browser.get("/api/alice/tasks", headers={"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    created = browser.post(
        "/api/alice/tasks",
        json={"title": "Buy milk"},
        headers={"Origin": ORIGIN, "Authorization": f"Bearer {released.token('alice')}"},
    )
    assert (created.status_code, created.headers["access-control-allow-origin"]) == (201, ORIGIN)
    assert "ETag" in created.headers["access-control-expose-headers"]


def test_browser_is_told_to_stay_with_tls(browser: httpx.Client, addresses: tuple[str, str]) -> None:
    assert "max-age=" in browser.get("/api/alice/tasks").headers["strict-transport-security"]
    plain = httpx.get(f"{addresses[0]}/api/alice/tasks", headers={"Host": HOST}, timeout=scaled(5))
    assert "strict-transport-security" not in plain.headers


async def test_rolling_updates_lose_nothing_through_the_ingress(
    browser: httpx.Client, released: Namespace, addresses: tuple[str, str]
) -> None:
    del browser
    address = urlsplit(addresses[0])
    # A connection per request: a reloading nginx closes idle connections, whatever the service does.
    headers = {
        "Host": HOST,
        "Connection": "close",
        "Authorization": f"Bearer {released.token('ingress')}",
    }
    async with contextlib.AsyncExitStack() as stack:
        load = await stack.enter_async_context(
            run_load(
                address.port or 80,
                headers,
                "/api/ingress/tasks",
                clients=8,
                host=address.hostname or "",
                pause_seconds=0.02,
            )
        )
        for _ in range(2):
            await asyncio.to_thread(released.kubectl, "rollout", "restart", "deployment/demo-task-service")
            await asyncio.to_thread(released.kubectl, "rollout", "status", "deployment/demo-task-service")
    print(
        f"2 updates through the ingress: {sum(load.statuses.values())} requests, {len(load.lost)} lost, {dict(load.statuses)}"
    )
    assert load.lost == []
    if set(load.statuses) != {200, 201}:  # ours, then the pods' logs say why; else it was the ingress
        selector = "--selector=app.kubernetes.io/component=api"
        lines = released.kubectl("logs", selector, "--prefix", "--tail=-1", check=False).splitlines()
        said = [line for line in lines if '"level":"info"' not in line]
        pytest.fail("\n".join([str(load.statuses), *said[-20:]]))
