"""Clients that read and create tasks, each creation with an Idempotency-Key and repeated until it is acknowledged."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import httpx

from tests.support.load import Answer
from tests.support.service import User

__all__ = ["KeyedLoad", "keyed_load"]

_PAUSE_SECONDS = 0.02


@dataclass
class KeyedLoad:
    """What the clients saw.

    Attributes:
        ids: The ids in the responses with 201, by title.
        statuses: Number of responses by status.
        answers: Each response.
    """

    ids: dict[str, set[int]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    answers: list[Answer] = field(default_factory=list)
    is_running: bool = True

    def lost_and_duplicated(self, titles: Sequence[str]) -> tuple[set[str], set[str]]:
        """Compare with the titles in the database: those missing although acknowledged, and those stored twice."""
        stored = Counter(titles)
        duplicated = {title for title, count in stored.items() if count > 1}
        return self.ids.keys() - stored.keys(), duplicated | {
            k for k, ids in self.ids.items() if len(ids) > 1
        }


@contextlib.asynccontextmanager
async def keyed_load(users: Sequence[User]) -> AsyncIterator[KeyedLoad]:
    """Send requests, one at a time per user, until the block ends. Titles are unique."""
    load = KeyedLoad()
    clients = [asyncio.create_task(_client(user, load)) for user in users]
    try:
        yield load
    finally:
        load.is_running = False
        await asyncio.gather(*clients)


async def _client(user: User, load: KeyedLoad) -> None:
    number = 0
    while load.is_running:
        title = f"{user.id} {number}"
        headers = {"Idempotency-Key": str(number)}
        created = await user.request("POST", headers=headers, json={"title": title})
        _record(load, "POST", created)
        if created.status_code == 201:
            load.ids.setdefault(title, set()).add(created.json()["id"])
            number += 1
        _record(load, "GET", await user.request("GET", params={"limit": 1}))
        await asyncio.sleep(_PAUSE_SECONDS)


def _record(load: KeyedLoad, method: str, response: httpx.Response) -> None:
    load.statuses[response.status_code] += 1
    has_retry_after = "Retry-After" in response.headers
    load.answers.append(Answer(time.time(), method, response.status_code, has_retry_after))
