"""The images that end-to-end tests roll out, and a namespace for each module of them."""

import asyncio
import contextlib
import fcntl
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.db.schema import SCHEMA
from tests.browser.person import Person
from tests.support.cluster import Namespace, kubectl, registry, require_cluster, wait_until
from tests.support.docker import ROOT, docker
from tests.support.pages import shell_blocks
from tests.support.released_frontend import ReleasedFrontend, release_frontend, sign_up
from tests.support.terminal import Terminal, install

MIGRATION_SECONDS = int(os.environ.get("MIGRATION_SECONDS", "20"))
"""Of the slow migration."""

KINDS = "all,configmap,secret,poddisruptionbudget,networkpolicy,serviceaccount,job,ingress,horizontalpodautoscaler"
"""What a release may consist of."""

_VERSIONS = "/app/.venv/lib/python3.13/site-packages/backend/db/migrations/versions"
_MIGRATION = '''
"""A migration of a later release."""
from alembic import op
revision = "{revision}"
down_revision = "{head}"
branch_labels = depends_on = None
def upgrade():
    for statement in {statements}:
        op.execute(statement)
def downgrade():
    pass
'''


@dataclass(frozen=True)
class Images:
    """This release, and later ones made of it, as a cluster's nodes pull them.

    `following` brings a migration, `slow` one of MIGRATION_SECONDS, `broken` one that the database refuses.
    """

    current: str
    following: str
    slow: str
    broken: str
    postgres: str
    jaeger: str


@pytest.fixture(scope="session")
def images(testrun_uid: str, tmp_path_factory: pytest.TempPathFactory) -> Images:
    """The images in the cluster's registry, built by the first worker of pytest-xdist that needs them."""
    require_cluster()
    host = registry()
    name = f"{host}/task-service:e2e-{testrun_uid[:8]}"
    images = Images(
        *(name, f"{name}-following", f"{name}-slow", f"{name}-broken"),
        *(f"{host}/postgres:18", f"{host}/jaeger"),
    )
    with (tmp_path_factory.getbasetemp().parent / f"images-{testrun_uid}").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not file.seek(0, os.SEEK_END):
            _build(images)
            file.write("built")
    return images


def _build(images: Images) -> None:
    docker("build", "--quiet", "--tag", images.current, str(ROOT))
    docker("push", "--quiet", images.current)
    for public, local in (("postgres:18", images.postgres), ("jaegertracing/all-in-one", images.jaeger)):
        docker("tag", public, local)
        docker("push", "--quiet", local)
    sleep = f"SELECT pg_sleep({MIGRATION_SECONDS})"
    _build_later(images, "following", "ALTER TABLE tasks ADD COLUMN note text")
    _build_later(images, "slow", sleep, "ALTER TABLE tasks ADD COLUMN slow text")
    _build_later(images, "broken", "ALTER TABLE tasks ADD COLUMN title text")


def _build_later(images: Images, name: str, *statements: str) -> None:
    migration = _MIGRATION.format(revision=f"e2e_{name}", head=SCHEMA.head_revision, statements=statements)
    dockerfile = f"FROM {images.current}\nCOPY <<'END' {_VERSIONS}/{name}.py\n{migration}\nEND\n"
    tag = f"{images.current}-{name}"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", tag, "-"],
        input=dockerfile,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    docker("push", "--quiet", tag)


@pytest.fixture(scope="module")
def namespace(images: Images) -> Iterator[Namespace]:
    namespace = Namespace(images.current, images.postgres)
    try:
        namespace.create()
        yield namespace
    finally:
        namespace.delete()


@pytest.fixture(scope="module")
def terminal(
    namespace: Namespace, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    """A terminal with a release `demo` and the pod with psql of the on-call page."""
    folder: Path = tmp_path_factory.mktemp("checkout")
    install(namespace, folder)
    terminal = Terminal(namespace, folder, images.following)
    begin, end = shell_blocks(ROOT / "docs" / "on-call.md")["A pod with psql"]
    terminal.settle()
    terminal.paste(begin)
    yield terminal
    terminal.paste(end)


@pytest.fixture(scope="module")
def released_frontend(
    namespace: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReleasedFrontend]:
    with release_frontend(namespace, tmp_path_factory.mktemp("certificate")) as released:
        yield released


@pytest.fixture
async def ada(released_frontend: ReleasedFrontend) -> AsyncIterator[Person]:
    """A person with an account; an error that the page shows fails the test."""
    async with released_frontend.person() as person:
        await sign_up(person)
        yield person


@contextlib.asynccontextmanager
async def database_stopped(namespace: Namespace) -> AsyncIterator[None]:
    """Stop the PostgreSQL of a namespace until the block ends."""
    await asyncio.to_thread(_scale_database, namespace, 0)
    try:
        yield
    finally:
        await asyncio.to_thread(_scale_database, namespace, 1)


def _scale_database(namespace: Namespace, replicas: int) -> None:
    kubectl("-n", namespace.outside, "scale", "deployment/postgres", f"--replicas={replicas}")
    if replicas:
        kubectl("-n", namespace.outside, "rollout", "status", "deployment/postgres", "--timeout=60s")
    else:
        kubectl(
            "-n", namespace.outside, "wait", "--for=delete", "pod", "--selector=app=postgres", "--timeout=60s"
        )


def discard(namespace: Namespace, release: str) -> None:
    """Remove a release and its pods, which do not drain."""
    selector = f"--selector=app.kubernetes.io/instance={release}"
    namespace.helm("uninstall", release, "--wait")
    # It would make new pods.
    namespace.kubectl("wait", "--for=delete", "replicasets", selector, "--timeout=60s")
    namespace.kubectl("delete", "pods", selector, "--force", "--grace-period=0", "--timeout=60s")


def left_of(namespace: Namespace, release: str) -> list[str]:
    """Return what a release still has; a pod that is on its way out does not count."""
    return [
        f"{item['kind']}/{item['metadata']['name']}"
        for item in namespace.get(KINDS, f"--selector=app.kubernetes.io/instance={release}")
        if "deletionTimestamp" not in item["metadata"]
    ]


def uninstall(namespace: Namespace, release: str) -> None:
    """Remove a release, and wait until nothing of it is left."""
    namespace.helm("uninstall", release, "--wait")
    # Endpoints go with their Service, a moment later.
    wait_until(lambda: left_of(namespace, release) == [], 20, what=f"{release} is gone")
