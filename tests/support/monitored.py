"""The service and the frontend as operators see them: pods under load and with faults, scraped by a real Prometheus."""

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import yaml

from deploy.dashboards import Prometheus
from deploy.render_rules import render_rules
from tests.support.frontend import SECRET, Account, Frontend, run_frontend, running_frontend
from tests.support.jwks_server import JwksServer, running_jwks_server
from tests.support.tokens import claims, shared_key_pair
from tests.support.waiting import poll_until, scaled
from tests.support.workers import Workers, free_port, run_workers

__all__ = ["PODS", "RELEASE", "SCRAPE_SECONDS", "Observed", "observed"]

RELEASE = "task-service"
PODS = ("task-service-7d9c5b6f7-4kq2m", "task-service-7d9c5b6f7-x8wzt")
FRONTEND_POD = "task-service-web-5d9c7b6f4b-x2k9q"
SCRAPE_SECONDS = 1.0
_EXTERNAL = (Path(__file__).parents[1] / "deploy" / "external_metrics.txt").read_text()
_RULES = {
    "selector": f'namespace="default", job="{RELEASE}"',
    "frontendSelector": f'namespace="default", job="{RELEASE}-web"',
    "prometheusRule": {"kubernetes": True},
    # Five minutes become six seconds: six scrapes.
    "slo": {"windowScale": 0.02},
}
_SETTINGS: Mapping[str, Any] = {
    "workers": 2,
    "database_pool_max_size": 3,
    "database_pool_acquire_timeout_seconds": 0.3,
    "database_statement_timeout_seconds": 0.5,
    # No collector listens: an unreachable one costs nothing, and exemplars need trace ids only.
    "otel_exporter_otlp_endpoint": "http://127.0.0.1:9",
    "otel_traces_sampler": "always_on",
}


@dataclass
class Observed:
    """What there is to ask, and what the clients saw."""

    prometheus: Prometheus
    url: str
    pods: tuple[Workers, Workers]
    keys: JwksServer
    database_url: str
    account: Account
    answers: Counter[int] = field(default_factory=Counter)

    async def ask(self, pod: int, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to a pod and count its answer."""
        workers = self.pods[pod]
        token = shared_key_pair("EdDSA").token(claims(sub="alice", iss=self.keys.url, aud=self.keys.url))
        own = {"Authorization": f"Bearer {token}"} if pod == 0 else workers.authorization("alice")
        headers = {**own, "Connection": "close", **options.pop("headers", {})}
        async with httpx.AsyncClient(base_url=workers.url, timeout=scaled(30), trust_env=False) as client:
            answer = await client.request(method, path, headers=headers, **options)
        self.answers[answer.status_code] += 1
        return answer

    async def round(self, pod: int) -> None:
        """Do what a user does, once, and what one should not."""
        async with httpx.AsyncClient(trust_env=False) as kubelet:
            await kubelet.get(f"{self.pods[pod].ops_url}/readyz")
        made = await self.ask(pod, "POST", "/api/alice/tasks", json={"title": "Buy milk"})
        for _ in range(4):
            await self.ask(pod, "GET", "/api/alice/tasks")
        if made.status_code == 201:
            path = f"/api/alice/tasks/{made.json()['id']}"
            await self.ask(pod, "PATCH", path, json={"title": "Buy oat milk"})
            await self.ask(pod, "PATCH", f"{path}/complete")
            await self.ask(pod, "DELETE", path)
        await self.ask(pod, "GET", "/api/alice/tasks/0")
        await self.ask(pod, "POST", "/api/alice/tasks", json={"title": ""})
        await self.ask(pod, "GET", "/api/bob/tasks")
        await self.ask(pod, "GET", "/api/alice/tasks", headers={"Authorization": "Bearer nonsense"})
        await self.ask(pod, "GET", "/wp-login.php")

    async def visit(self, number: int) -> None:
        """Open the page, and fetch a token that cannot be signed."""
        address = {"X-Forwarded-For": f"198.51.100.{number % 250}"}  # each has its own rate limit
        for path, status in (("/", 200), ("/wp-login.php", 404), ("/api/auth/token", 500)):
            assert (await self.account.client.get(path, headers=address)).status_code == status

    async def guess(self) -> None:
        """Type a wrong password."""
        body = {"email": self.account.email, "password": "a wrong password"}
        assert (await self.account.post("sign-in/email", body)).status_code in {401, 429}

    async def traffic(self, seconds: float) -> None:
        """Have some users on each pod for a while."""
        ends = time.monotonic() + seconds

        async def user(pod: int) -> None:
            while time.monotonic() < ends:
                await self.round(pod)

        async def visitor() -> None:
            for number in itertools.count():
                await self.visit(number)
                if time.monotonic() >= ends:
                    return

        await asyncio.gather(user(0), user(0), user(1), visitor(), self.guess())

    async def stall_database(self, seconds: float) -> None:
        """Let statements run into their timeout, and requests find no connection."""
        connection = await asyncpg.connect(self.database_url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
                ends = time.monotonic() + seconds
                while time.monotonic() < ends:
                    await asyncio.gather(*(self.ask(0, "GET", "/api/alice/tasks") for _ in range(20)))
        finally:
            await connection.close()

    async def kill_worker(self) -> None:
        """Kill a worker and wait for its replacement."""
        os.kill(self.pods[0].children()[0], signal.SIGKILL)

        async def is_replaced() -> bool:
            return await self.pods[0].value("gunicorn_workers") == 2

        await poll_until(is_replaced, what="the worker is replaced")

    async def seen(self, expression: str, seconds: float = 30) -> None:
        """Wait until a query gives something."""

        async def found() -> bool:
            return bool(await asyncio.to_thread(self.prometheus.query, expression, time.time()))

        await poll_until(found, seconds, what=expression)


@contextlib.asynccontextmanager
async def observed(
    folder: Path, database_url: str, frontend_database_url: str, error_rate: float = 0.3
) -> AsyncIterator[Observed]:
    """Run all of it until the block ends.

    Args:
        folder: An existing, empty one.
        database_url: Migrated.
        frontend_database_url: Another one, so that the service keeps its own table of users.
        error_rate: Share of the second pod's requests that fail on purpose, 0 to 1.
    """
    for name in ("a", "b", "prometheus"):
        (folder / name).mkdir()
    async with contextlib.AsyncExitStack() as stack:
        keys = await stack.enter_async_context(running_jwks_server(shared_key_pair("EdDSA")))
        pods = await asyncio.gather(
            *(
                stack.enter_async_context(run_workers(folder / name, database_url, **_SETTINGS, **settings))
                for name, settings in (
                    ("a", {"better_auth_url": keys.url}),
                    ("b", {"environment": "development", "fault_error_rate": error_rate}),
                )
            )
        )
        code, *said = await run_frontend(frontend_database_url, "migrate")
        assert code == 0, said
        # Another secret than the migration's cannot decrypt the key that signs tokens.
        frontend = await stack.enter_async_context(
            running_frontend(frontend_database_url, migrated=False, BETTER_AUTH_SECRET=SECRET[::-1])
        )
        account = await stack.enter_async_context(frontend.sign_up())
        external = await stack.enter_async_context(_served(_external()))
        url = await stack.enter_async_context(
            _run_prometheus(folder / "prometheus", pods, frontend, external)
        )
        prometheus = Prometheus(url)
        yield Observed(prometheus, url, (pods[0], pods[1]), keys, database_url, account)
        prometheus.close()
        await asyncio.gather(*(pod.stop() for pod in pods))


def _external() -> bytes:
    now = int(time.time())
    text = _EXTERNAL.replace("@now@", str(now))
    text = text.replace("@expires@", str(now + 60 * 86_400)).replace("@renews@", str(now + 30 * 86_400))
    return text.encode()


@contextlib.asynccontextmanager
async def _served(body: bytes) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.asynccontextmanager
async def _run_prometheus(
    folder: Path, pods: Sequence[Workers], frontend: Frontend, external: str
) -> AsyncIterator[str]:
    address = f"127.0.0.1:{free_port()}"
    targets = [
        {"targets": [f"127.0.0.1:{pod.ops_port}"], "labels": {"namespace": "default", "pod": name}}
        for pod, name in zip(pods, PODS, strict=True)
    ]
    page = {
        "targets": [frontend.ops_url.removeprefix("http://")],
        "labels": {"namespace": "default", "pod": FRONTEND_POD},
    }
    others = {"job_name": "kubernetes", "honor_labels": True, "static_configs": [{"targets": [external]}]}
    configuration = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS:.0f}s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": RELEASE, "static_configs": targets},
            {"job_name": f"{RELEASE}-web", "static_configs": [page]},
            others,
        ],
    }
    (folder / "rules.yaml").write_text(render_rules(_RULES))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("prometheus", "--config.file=prometheus.yaml", "--storage.tsdb.path=data"),
            *("--enable-feature=exemplar-storage", f"--web.listen-address={address}"),
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=scaled(5)) as client:

            async def is_ready() -> bool:
                assert process.returncode is None, (folder / "log").read_text()
                return (await client.get(f"http://{address}/-/ready")).status_code == 200

            await poll_until(is_ready, 30, what="Prometheus is ready", retried=(httpx.TransportError,))
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()
