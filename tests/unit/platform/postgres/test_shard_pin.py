"""A transaction begins on the shard of its user, or on any shard that answers."""

from typing import Any

import asyncpg
import pytest

from backend.platform.postgres.shard_pin import begin_on_shard, is_pinnable, is_shard_unavailable


class FakeRouter:
    """A connection to a router. The shards of these keys are unavailable."""

    def __init__(self, *unavailable: str, error: str = "SPQRD") -> None:
        self.unavailable = unavailable
        self.error = error
        self.commands: list[str] = []

    async def execute(self, command: str) -> None:
        key = command.split("'")[1] if "'" in command else command
        self.commands.append(key)
        if key in self.unavailable:
            raise shard_error(self.error)


def shard_error(sqlstate: str) -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": sqlstate, "M": "shard shard1: failed to find primary"})


async def begin(router: Any, user_id: str | None) -> None:
    await begin_on_shard(router, user_id)


async def test_transaction_of_a_user_begins_on_the_user_s_shard() -> None:
    router = FakeRouter()
    await begin(router, "alice")
    assert router.commands == ["BEGIN", "alice"]


async def test_user_of_a_shard_that_is_away_gets_no_other_shard() -> None:
    router = FakeRouter("alice")
    with pytest.raises(asyncpg.PostgresError):
        await begin(router, "alice")
    assert router.commands == ["BEGIN", "alice", "ROLLBACK"]


async def test_transaction_without_a_user_begins_on_the_first_shard_that_answers() -> None:
    router = FakeRouter("0", "1")
    await begin(router, None)
    assert router.commands == ["BEGIN", "0", "ROLLBACK", "BEGIN", "1", "ROLLBACK", "BEGIN", "2"]


async def test_router_without_a_shard_is_not_asked_for_ever() -> None:
    router = FakeRouter(*map(str, range(100)))
    with pytest.raises(asyncpg.PostgresError):
        await begin(router, None)
    assert router.commands.count("BEGIN") == 32


async def test_other_errors_are_raised_at_once() -> None:
    router = FakeRouter("0", error="42P01")
    with pytest.raises(asyncpg.PostgresError):
        await begin(router, None)
    assert router.commands == ["BEGIN", "0", "ROLLBACK"]


@pytest.mark.parametrize(
    ("user_id", "expected"),
    [
        (None, True),
        ("pT7aSd-2_x.y@example:1", True),
        ("", False),
        ("it's", False),
        ("a\\b", False),
        ("é", False),
        ("x" * 256, False),
    ],
)
def test_only_ids_that_need_no_escaping_are_written_into_the_statement(
    user_id: str | None, *, expected: bool
) -> None:
    assert is_pinnable(user_id) is expected


def test_only_an_error_before_the_execution_means_that_a_shard_is_away() -> None:
    assert is_shard_unavailable(shard_error("SPQRD"))
    assert not is_shard_unavailable(shard_error("SPQRU"))
    assert not is_shard_unavailable(ConnectionRefusedError())
