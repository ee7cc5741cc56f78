"""The images that end-to-end tests roll out, and a namespace for each module of them."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from backend.db.schema import SCHEMA
from tests.support.cluster import Namespace, registry, require_cluster
from tests.support.docker import ROOT, docker

MIGRATION_SECONDS = int(os.environ.get("MIGRATION_SECONDS", "20"))
"""Of the slow migration."""

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
def images() -> Images:
    require_cluster()
    host, build = registry(), uuid4().hex[:8]
    name = f"{host}/task-service:e2e-{build}"
    docker("build", "--quiet", "--tag", name, str(ROOT))
    docker("push", "--quiet", name)
    postgres, jaeger = f"{host}/postgres:18", f"{host}/jaeger"
    for public, local in (("postgres:18", postgres), ("jaegertracing/all-in-one", jaeger)):
        docker("tag", public, local)
        docker("push", "--quiet", local)
    return Images(
        name,
        _later(name, "following", "ALTER TABLE tasks ADD COLUMN note text"),
        _later(
            name, "slow", f"SELECT pg_sleep({MIGRATION_SECONDS})", "ALTER TABLE tasks ADD COLUMN slow text"
        ),
        _later(name, "broken", "ALTER TABLE tasks ADD COLUMN title text"),
        postgres,
        jaeger,
    )


def _later(base: str, name: str, *statements: str) -> str:
    migration = _MIGRATION.format(revision=f"e2e_{name}", head=SCHEMA.head_revision, statements=statements)
    dockerfile = f"FROM {base}\nCOPY <<'END' {_VERSIONS}/{name}.py\n{migration}\nEND\n"
    tag = f"{base}-{name}"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", tag, "-"],
        input=dockerfile,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    docker("push", "--quiet", tag)
    return tag


@pytest.fixture(scope="module")
def namespace(images: Images) -> Iterator[Namespace]:
    namespace = Namespace(images.current, images.postgres)
    try:
        namespace.create()
        yield namespace
    finally:
        namespace.delete()
