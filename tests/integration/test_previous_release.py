"""The release before the newest migration runs on the newest schema, beside this one and after a rollback."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.db.schema import SCHEMA
from deploy.bench.variants import Variant, run_server
from tests.support.service import SECRET, User

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]
MIGRATIONS = "backend/db/migrations/versions"


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def previous_commit() -> str:
    """Return the commit before the one that added the newest migration."""
    (script,) = (
        path
        for path in (ROOT / MIGRATIONS).glob("*.py")
        if f'\nrevision = "{SCHEMA.head_revision}"' in path.read_text()
    )
    try:
        added = (
            git("log", "-1", "--diff-filter=A", "--format=%H", "--", f"{MIGRATIONS}/{script.name}")
            .decode()
            .strip()
        )
        return git("rev-parse", "--verify", f"{added}^" if added else "HEAD").decode().strip()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the history does not reach back to the previous release: {error}")


@pytest.fixture
async def previous(alice: User, shared_database_url: str, tmp_path: Path) -> AsyncIterator[User]:
    """The same user, as a client of the previous release's code."""
    root = tmp_path / "previous"
    root.mkdir()
    files = git("archive", previous_commit(), "backend", "pyproject.toml", "README.md")
    subprocess.run(  # noqa: ASYNC221 - nothing else runs
        ["tar", "--extract", "--directory", root], input=files, check=True
    )
    variables = {
        "DATABASE_URL": shared_database_url,
        "BETTER_AUTH_SECRET": SECRET,
        "OTEL_SDK_DISABLED": "true",
    }
    variant = Variant("previous", under_gunicorn=False, root=root)
    async with run_server(variant, tmp_path, variables, enter=lambda: None) as server:
        base_url = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=base_url, headers=alice.client.headers) as client:
            yield User(alice.id, client)


def without_new_fields(task: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in task.items() if name in known}


async def test_every_operation_of_the_previous_release_works(alice: User, previous: User) -> None:
    new = await alice.create("New", priority="high", due="2026-12-01", tags=["home"])
    old = await previous.create("Old")
    assert (await previous.list())["tasks"] == [old, without_new_fields(new, old)]
    for query in (
        {"sort": "title"},
        {"sort": "updated_at", "order": "asc"},
        {"status": "pending"},
        {"search": "ne"},
    ):
        assert without_new_fields(new, old) in (await previous.list(**query))["tasks"]
    changed = await previous.request(
        "PATCH", f"/{new['id']}", json={"title": "Changed"}, headers={"If-Match": '"v1"'}
    )
    assert (changed.status_code, changed.headers["etag"]) == (200, '"v2"')
    completed = await previous.request("PATCH", f"/{new['id']}/complete")
    assert completed.json()["completed"] is True
    kept = (await alice.request("GET", f"/{new['id']}")).json()
    assert (kept["priority"], kept["due"], kept["tags"]) == ("high", "2026-12-01", ["home"])
    read = (await alice.request("GET", f"/{old['id']}")).json()
    assert (read["priority"], read["due"], read["tags"]) == ("none", None, [])
    assert (await previous.request("DELETE", f"/{new['id']}")).status_code == 204


async def test_cursors_and_idempotency_keys_are_valid_in_both_releases(alice: User, previous: User) -> None:
    requests: list[dict[str, Any]] = [
        {"json": {"title": title}, "headers": {"Idempotency-Key": title}} for title in ("First", "Second")
    ]
    for user, again, request in ((previous, alice, requests[0]), (alice, previous, requests[1])):
        created = await user.request("POST", **request)
        repeated = await again.request("POST", **request)
        assert (created.status_code, repeated.status_code) == (201, 201)
        assert created.json()["id"] == repeated.json()["id"]
    for user, again in ((previous, alice), (alice, previous)):
        cursor = (await user.list(limit=1, sort="title"))["next_cursor"]
        assert (await again.list(limit=1, sort="title", cursor=cursor))["tasks"][0]["title"] == "Second"
