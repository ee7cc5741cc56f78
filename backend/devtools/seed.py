"""`task-service seed`: users and tasks for development."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from backend.config import Settings
from backend.db.schema import SCHEMA
from backend.db.task_repository import TaskRepository
from backend.db.user_repository import UserRepository
from backend.devtools.embedded_postgres import migrated_postgres
from backend.platform.auth.principal import Principal
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.database import Database
from backend.platform.postgres.dsn import check_dsns
from backend.schemas.task import TaskCreate
from backend.schemas.task_page import TaskQuery
from backend.services.task_service import TaskService

if TYPE_CHECKING:
    from faker import Faker

__all__ = ["seed_database"]

_NAMES = ("alice", "bob", "carol", "dave", "erin")
_PAGE = 200
_COMPLETED_PERCENT = 40


def seed_database(settings: Settings, users: int, tasks: int) -> int:
    """Give each user the number of tasks, and return how many tasks were added.

    Args:
        settings: Those of development.
        users: 1 or more; their names and tasks are the same in each run.
        tasks: Of each user, 0 or more.

    Raises:
        ConfigurationError: The database has to be corrected, or Faker is not installed.
        DomainError: See `Database.fetch`.
    """
    check_dsns(settings)
    return asyncio.run(_seed(settings, users, tasks))


async def _seed(settings: Settings, users: int, tasks: int) -> int:
    async with AsyncExitStack() as stack:
        url = None
        if settings.uses_embedded_database:
            url = await stack.enter_async_context(migrated_postgres(settings.data_dir, SCHEMA))
        database = Database(settings, url)
        await database.start()
        stack.push_async_callback(database.stop)
        service = TaskService(TaskRepository(database), UserRepository(database, settings.users_table_owner))
        return sum([await _fill(service, number, tasks) for number in range(users)])


async def _fill(service: TaskService, number: int, wanted: int) -> int:
    """Add what the user lacks and return how much that was."""
    name = _NAMES[number] if number < len(_NAMES) else f"user-{number + 1}"
    owner = Principal(user_id=name)
    present = await _count(service, owner)
    faker = _faker(number)
    for position in range(wanted):
        # Made even where it is not written: the texts behind it stay the same.
        new = TaskCreate(
            title=faker.sentence(nb_words=5).rstrip("."),
            description=faker.paragraph() if faker.boolean() else None,
            completed=faker.boolean(_COMPLETED_PERCENT),
        )
        if position >= present:
            await service.create(owner, new, None)
    return max(0, wanted - present)


async def _count(service: TaskService, owner: Principal) -> int:
    count, cursor = 0, None
    while True:
        page = await service.list(owner, TaskQuery(limit=_PAGE, cursor=cursor))
        count += page.count
        cursor = page.next_cursor
        if cursor is None:
            return count


def _faker(number: int) -> "Faker":
    try:
        from faker import Faker  # noqa: PLC0415 - a dependency of development alone
    except ImportError:
        raise ConfigurationError(
            "`task-service seed` needs Faker, which only the development environment has: run `make up` once"
        ) from None
    faker = Faker("en_US")
    faker.seed_instance(number)
    return faker
