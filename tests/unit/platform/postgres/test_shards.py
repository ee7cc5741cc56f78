"""Commands on every shard: what fails, what is tried again, and which exit code remains."""

import re
from collections.abc import Sequence

import pytest

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.connection_parameters import ConnectionParameters
from backend.platform.postgres.dsn import parse_dsn
from backend.platform.postgres.idempotency_purge import PurgeTimeout
from backend.platform.postgres.rollout import MigrationFailed, SchemaWaitTimeout
from backend.platform.postgres.shards import MAX_SHARDS, first_id, run_on_every_shard
from tests.support.virtual_time import in_virtual_time

SHARDS = [parse_dsn(f"postgresql://alice:hunter2@db{number}/tasks") for number in (1, 2, 3)]


class Commands:
    """Runs prepared outcomes, in order of the attempts on each shard; the last one repeats."""

    def __init__(self, **outcomes: Sequence[str | Exception]) -> None:
        self.outcomes = {name: list(each) for name, each in outcomes.items()}
        self.attempts: list[int] = []
        self.said: list[str] = []
        self.reported: list[str] = []

    async def work(self, number: int, parameters: ConnectionParameters) -> str:
        assert parameters is SHARDS[number - 1]
        self.attempts.append(number)
        outcomes = self.outcomes.get(f"db{number}", ["Done."])
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def run(self, timeout_seconds: float = 0) -> None:
        await run_on_every_shard(
            SHARDS,
            self.work,
            timeout_seconds=timeout_seconds,
            say=self.said.append,
            report=self.reported.append,
        )


async def test_every_shard_is_named_without_its_password() -> None:
    commands = Commands()
    await commands.run()
    assert commands.said == [f"shard {number} (db{number}:5432/tasks): Done." for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "failure",
    [SchemaWaitTimeout("late"), PurgeTimeout("late"), ConfigurationError("no"), MigrationFailed("no")],
)
async def test_failed_shard_does_not_hide_the_others(failure: Exception) -> None:
    commands = Commands(db1=[failure])
    expected = f"1 of 3 shards failed. shard 1 (db1:5432/tasks): {failure}"
    with pytest.raises(type(failure), match=re.escape(expected)):
        await commands.run()
    assert (commands.attempts, len(commands.said)) == ([1, 2, 3], 2)
    assert commands.reported == [f"shard 1 (db1:5432/tasks): {failure}"]


@in_virtual_time
async def test_shard_that_timed_out_is_tried_again_after_the_others() -> None:
    commands = Commands(db1=[SchemaWaitTimeout("late"), SchemaWaitTimeout("late"), "Done."])
    await commands.run(timeout_seconds=60)
    assert (commands.attempts, len(commands.said)) == ([1, 2, 3, 1, 1], 3)


@pytest.mark.parametrize("failure", [ConfigurationError("no"), MigrationFailed("no")])
async def test_permanent_failure_is_not_tried_again(failure: Exception) -> None:
    commands = Commands(db2=[failure])
    with pytest.raises(type(failure)):
        await commands.run(timeout_seconds=60)
    assert commands.attempts == [1, 2, 3]


async def test_a_timeout_decides_the_exit_code_because_another_run_may_succeed() -> None:
    commands = Commands(
        db1=[MigrationFailed("no")], db2=[ConfigurationError("no")], db3=[SchemaWaitTimeout("late")]
    )
    with pytest.raises(SchemaWaitTimeout, match=r"3 of 3 shards failed\. shard 1 .*; shard 2 .*; shard 3 "):
        await commands.run()
    commands = Commands(db1=[MigrationFailed("no")], db2=[ConfigurationError("no")])
    with pytest.raises(ConfigurationError):
        await commands.run()


async def test_other_errors_are_not_caught() -> None:
    with pytest.raises(ValueError, match="a defect"):
        await Commands(db1=[ValueError("a defect")]).run()


@pytest.mark.parametrize(
    ("last", "number", "first"), [(1, 1, 1025), (1, 2, 2), (500, 2, 1026), (1026, 2, 2050), (7, 1024, 1024)]
)
def test_first_id_is_the_next_one_of_the_shard(last: int, number: int, first: int) -> None:
    assert first_id(last, number) == first


@pytest.mark.parametrize("last", [1, 1023, 1024, 1025, 4000])
def test_ids_of_shards_differ_and_exceed_the_ids_before(last: int) -> None:
    firsts = [first_id(last, number) for number in range(1, MAX_SHARDS + 1)]
    assert sorted(firsts) == list(range(last + 1, last + 1 + MAX_SHARDS))
    assert all(first % MAX_SHARDS == number % MAX_SHARDS for number, first in enumerate(firsts, 1))
