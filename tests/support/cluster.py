"""A real Kubernetes cluster: a separate namespace with PostgreSQL, releases of the chart, and load inside."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from uuid import uuid4

import pytest
import yaml

from backend.config import Settings
from backend.devtools.development_token import make_token
from tests.support.helm import CHART
from tests.support.load import Answer
from tests.support.waiting import stretched

__all__ = ["InCluster", "Namespace", "Seen", "kubectl", "registry", "require_cluster", "wait_until"]

SECRET = "only-for-tests-" + "0123456789abcdef" * 2
_LOAD = Path(__file__).with_name("load.py")


def require_cluster() -> None:
    """Skip where no cluster answers; in CI fail."""
    reason = next(
        (f"no {name} command" for name in ("kubectl", "helm", "docker") if not shutil.which(name)), None
    )
    if reason is None:
        answer = subprocess.run(["kubectl", "get", "nodes"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return
        reason = f"no cluster answers: {answer.stderr.strip()}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true: nothing may be skipped")
    pytest.skip(reason)


def kubectl(*arguments: str, text: str | None = None, check: bool = True) -> str:
    """Run kubectl and return its output; `text` is its input. Its time-out is stretched."""
    result = _run("kubectl", *arguments, text=text)
    assert not check or result.returncode == 0, f"kubectl {' '.join(arguments)}: {result.stderr}"
    return result.stdout


def _run(*command: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    stretched_command = [
        f"--timeout={stretched(float(part[10:-1])):.0f}s" if part.startswith("--timeout=") else part
        for part in command
    ]
    return subprocess.run(
        stretched_command, input=text, capture_output=True, text=True, check=False, timeout=stretched(600)
    )


def registry() -> str:
    """Return the cluster's local registry, as KEP-1755 has it announced."""
    path = "jsonpath={.data.localRegistryHosting\\.v1}"
    data = kubectl("-n", "kube-public", "get", "configmap", "local-registry-hosting", "-o", path)
    host: str = yaml.safe_load(data)["host"]
    return host


def wait_until[Found](ask: Callable[[], Found], seconds: float, *, what: str) -> Found:
    """Ask again and again until the answer is true, and return it. The time-out is stretched."""
    deadline = time.monotonic() + stretched(seconds)
    while not (found := ask()):
        assert time.monotonic() < deadline, f"not within {stretched(seconds):.0f} s: {what}"
        time.sleep(0.3)
    return found


def _nodes_take_pods() -> bool:
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    return not any("taints" in node["spec"] for node in nodes)


@dataclass(frozen=True)
class Seen:
    """What the clients of a load saw."""

    statuses: Counter[int]
    lost: list[str]
    acknowledged: list[str]
    seconds: list[float]
    answers: list[Answer]

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    def percentile(self, share: float) -> float:
        """Return the time, in seconds, within which this share of the answers came."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]

    def figures(self) -> str:
        return (
            f"{self.total} requests, {len(self.lost)} lost, statuses {dict(self.statuses)}, "
            f"p50 {self.percentile(0.5) * 1000:.0f} ms, p99 {self.percentile(0.99) * 1000:.0f} ms"
        )


class InCluster:
    """A load that runs in a pod."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: Seen | None = None

    async def end(self) -> Seen:
        """Stop it and return what it saw."""
        output, errors = await self._process.communicate()  # ends its input
        assert self._process.returncode == 0, errors.decode()
        said = json.loads(output)
        self.seen = Seen(
            Counter({int(status): count for status, count in said["statuses"].items()}),
            said["lost"],
            said["acknowledged"],
            said["seconds"],
            [Answer(*each) for each in said["answers"]],
        )
        return self.seen


class Namespace:
    """A namespace with Pod Security `restricted` enforced, and one beside it for PostgreSQL and load.

    Args:
        image: Of the service, as the cluster's nodes pull it.
        postgres_image: Likewise.
        helm_program: The helm that makes its releases.
    """

    def __init__(self, image: str, postgres_image: str, helm_program: str = "helm") -> None:
        self.helm_program = helm_program
        self.name = f"e2e-{uuid4().hex[:8]}"
        self.outside = f"{self.name}-outside"
        self.image = image
        self.postgres_image = postgres_image
        self.node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
        """Where PostgreSQL and the client are."""

    def create(self) -> None:
        """Make both, with a running PostgreSQL and the Secrets that lead to it."""
        wait_until(_nodes_take_pods, 120, what="every node is ready and takes pods")
        kubectl("create", "namespace", self.name)
        kubectl("label", "namespace", self.name, "pod-security.kubernetes.io/enforce=restricted")
        kubectl("create", "namespace", self.outside)
        folder = f"/tmp/task-service-{self.name}"  # noqa: S108 - on the node; the name is generated
        self.apply_outside("fixtures.yaml", FOLDER=folder)
        self.secret("database", url=self.database_url("tasks", "tasks"))
        self.secret("auth", secret=SECRET)
        kubectl(
            "-n", self.outside, "wait", "--for=condition=Available", "deployment", "--all", "--timeout=120s"
        )

    def apply_outside(self, manifest: str, **values: str) -> None:
        """Apply a manifest of this folder in the namespace outside, with `$NAME` replaced by its value."""
        values |= {"NODE": self.node, "POSTGRES_IMAGE": self.postgres_image, "IMAGE": self.image}
        text = Template((Path(__file__).parent / manifest).read_text()).safe_substitute(values)
        kubectl("-n", self.outside, "apply", "-f", "-", text=text)

    def delete(self) -> None:
        """Remove both, their pods at once: one that takes its time to stop keeps its share of a small node."""
        kubectl("delete", "namespace", self.name, self.outside, "--wait=false", check=False)
        for name in (self.name, self.outside):
            kubectl("-n", name, "delete", "pod", "--all", "--force", "--grace-period=0", check=False)

    def database_url(self, user: str, password: str) -> str:
        """Return the address of its PostgreSQL for a role."""
        return f"postgresql://{user}:{password}@postgres.{self.outside}:5432/tasks"

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """Run kubectl in the namespace."""
        return kubectl("-n", self.name, *arguments, text=text, check=check)

    def get(self, *arguments: str) -> Any:
        """Return an object, or a list's items."""
        found = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found.get("items", found)

    def logs(self, *arguments: str, until: str, seconds: float = 20) -> str:
        """Return logs that hold a text; a kubelet may take a moment to find a pod's, and forgets an ended one's."""

        def found() -> str:
            text = self.kubectl("logs", *arguments, "--tail=-1", check=False)
            return text if until in text and "failed to try resolving symlinks" not in text else ""

        return wait_until(found, seconds, what=f"{until!r} is in the logs")

    def secret(self, name: str, **values: str) -> None:
        """Make a Secret, or change it."""
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
        self.kubectl("apply", "-f", "-", text=json.dumps(manifest))

    def options(self, *values: str, image: str | None = None) -> list[str]:
        """Return helm's options for a production release with these values besides."""
        repository, _, tag = (image or self.image).rpartition(":")
        defaults = (
            f"image.repository={repository}",
            f"image.tag={tag}",
            "database.existingSecret=database",
            "auth.existingSecret=auth",
            "resources.requests.cpu=100m",
            # For a cluster of two cores: near, but slow to connect while pods start.
            "preStopSeconds=3",
            "config.DATABASE_POOL_ACQUIRE_TIMEOUT_SECONDS=5",
            "config.MAX_CONCURRENT_REQUESTS_PER_USER=200",  # the one user of the load stands for many
        )
        return [f"--set={value}" for value in (*defaults, *values)]

    def helm(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run helm in the namespace. Its time-out is stretched."""
        result = _run(self.helm_program, f"--namespace={self.name}", *arguments)
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    def upgrade(
        self,
        release: str,
        *values: str,
        image: str | None = None,
        flags: tuple[str, ...] = ("--wait",),
        check: bool = True,
    ) -> "subprocess.CompletedProcess[str]":
        """Install or upgrade a release, and wait until it is ready unless `flags` say otherwise."""
        return self.helm(
            "upgrade",
            "--install",
            release,
            str(CHART),
            "--timeout=180s",
            *flags,
            *self.options(*values, image=image),
            check=check,
        )

    def sql(self, *statements: str, server: str = "deployment/postgres") -> list[str]:
        """Run SQL as the owner of everything, and return the lines."""
        output = kubectl(
            "-n", self.outside, "exec", server, "--",
            *("psql", "--host=127.0.0.1", "--username=tasks", "--dbname=tasks", "-qAt", "-v", "ON_ERROR_STOP=1"),
            *(f"--command={statement}" for statement in statements),
        )  # fmt: skip
        return output.splitlines()

    def token(self, user: str) -> str:
        """Return a token that the releases accept."""
        return make_token(Settings(better_auth_secret=SECRET), user, lifetime_seconds=3600)

    def call(self, url: str, *, user: str = "alice", method: str = "GET", body: str = "") -> tuple[int, str]:
        """Send one request from the namespace outside; status 0 where nothing answers within three seconds."""
        program = (
            "import httpx,sys\n"
            "try:\n"
            f"  a = httpx.request({method!r}, {url!r}, content={body!r}, timeout=3,"
            f" headers={{'Authorization': 'Bearer {self.token(user)}', 'Content-Type': 'application/json'}})\n"
            "  print(a.status_code, a.text)\n"
            "except httpx.TransportError as e: print(0, e)\n"
        )
        output = kubectl("-n", self.outside, "exec", "deployment/client", "--", "python", "-c", program)
        status, _, text = output.partition(" ")
        return int(status), text.strip()

    @contextlib.asynccontextmanager
    async def load(self, release: str = "demo", *, clients: int = 6) -> AsyncIterator[InCluster]:
        """Read and write through the release's Service until the block ends; a new user each time."""
        user = f"load-{uuid4().hex[:8]}"
        host, path = f"{release}-task-service.{self.name}", f"/api/{user}/tasks"
        process = await asyncio.create_subprocess_exec(
            *("kubectl", "-n", self.outside, "exec", "-i", "deployment/client", "--"),
            *("python", "-c", _LOAD.read_text(), host, "80", path, str(clients), self.token(user)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**26,
        )
        running = InCluster(process)
        try:
            yield running
        finally:
            if running.seen is None:
                await running.end()

    def assert_stored_once(self, seen: Seen, *, server: str = "deployment/postgres") -> None:
        """Hold what was acknowledged against the database: each task there, exactly once."""
        stored = Counter(self.sql("SELECT title FROM tasks", server=server))
        assert {title for title in seen.acknowledged if stored[title] != 1} == set()
