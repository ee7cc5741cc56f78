"""`task-service seed`: example users and tasks for development."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, time, timedelta
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
from backend.platform.postgres.idempotency import IdempotencyStore
from backend.schemas.due import format_due
from backend.schemas.limits import PRIORITIES
from backend.schemas.task import TaskCreate
from backend.schemas.task_page import TaskQuery
from backend.services.task_service import TaskService

if TYPE_CHECKING:
    from faker import Faker

__all__ = ["seed_database"]

_NAMES = ("alice", "bob", "carol", "dave", "erin")
_PAGE = 200
_COMPLETED_PERCENT = 40
_TAGS = ("home", "work", "shopping", "family", "garden", "urgent", "someday", "phone")


def seed_database(settings: Settings, users: int, tasks: int) -> int:
    """Add tasks until each user has the given number; return how many tasks were added.

    Args:
        settings: Settings with ENVIRONMENT=development.
        users: Number of users, at least 1. Names and tasks are the same in every run.
        tasks: Number of tasks per user, at least 0.

    Raises:
        ConfigurationError: The database must be corrected, or Faker is not installed.
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
        user_repository = UserRepository(database, settings.users_table_owner)
        service = TaskService(TaskRepository(database), user_repository, IdempotencyStore(database))
        return sum([await _add_missing_tasks(service, number, tasks) for number in range(users)])


async def _add_missing_tasks(service: TaskService, number: int, tasks: int) -> int:
    """Add the tasks that one user lacks; return their number."""
    name = _NAMES[number] if number < len(_NAMES) else f"user-{number + 1}"
    owner = Principal(user_id=name)
    existing = await _count_tasks(service, owner)
    faker = _faker(number)
    for index in range(tasks):
        # Generate existing tasks too: each call advances the random generator of the later ones.
        new = _random_task(faker)
        if index >= existing:
            await service.create(owner, new, None)
    return max(0, tasks - existing)


def _random_task(faker: "Faker") -> TaskCreate:
    """Return a task; half of them have a due date, in the weeks around today, and most have tags."""
    title = faker.sentence(nb_words=5).rstrip(".")
    description = faker.paragraph() if faker.boolean() else None
    completed = faker.boolean(_COMPLETED_PERCENT)
    due: date | None = None
    if faker.boolean():
        day = datetime.now(UTC).date() + timedelta(days=faker.random_int(-14, 30))
        due = day if faker.boolean() else datetime.combine(day, time(faker.random_int(8, 18)), UTC)
    return TaskCreate(
        title=title,
        description=description,
        completed=completed,
        priority=faker.random_element(PRIORITIES),
        due=None if due is None else format_due(due),
        tags=faker.random_elements(_TAGS, length=faker.random_int(0, 3), unique=True),
    )


async def _count_tasks(service: TaskService, owner: Principal) -> int:
    count, cursor = 0, None
    while True:
        page = await service.list(owner, TaskQuery(limit=_PAGE, cursor=cursor))
        count += page.count
        cursor = page.next_cursor
        if cursor is None:
            return count


def _faker(number: int) -> "Faker":
    try:
        from faker import Faker  # noqa: PLC0415 - a development dependency
    except ImportError:
        raise ConfigurationError(
            "`task-service seed` needs Faker, a development dependency: run `make up` once to install it"
        ) from None
    faker = Faker("en_US")
    faker.seed_instance(number)
    return faker
