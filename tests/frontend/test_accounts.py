"""Accounts of the frontend with the service and a real PostgreSQL: migrations, tokens, deletion, e-mails."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from backend.db.schema import SCHEMA
from backend.platform.postgres.migration import migrate
from deploy.full_stack import SERVER
from tests.support.frontend import (
    PASSWORD,
    Account,
    Frontend,
    boot_of,
    database_name,
    free_port,
    frontend_environment,
    run_frontend,
    running_frontend,
)
from tests.support.service import RunningService, running_service, service_settings
from tests.support.waiting import poll_until

pytestmark = pytest.mark.timeout(240)


@contextlib.asynccontextmanager
async def full_stack(database_url: str, **settings: Any) -> AsyncIterator[tuple[Frontend, RunningService]]:
    port = free_port()
    service = service_settings(
        database_url, better_auth_secret=None, better_auth_url=f"http://127.0.0.1:{port}"
    )
    async with (
        running_service(service) as running,
        running_frontend(database_url, port=port, API_URL=running.url, **settings) as frontend,
    ):
        yield frontend, running


async def count(database_url: str, query: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def call(user: Account, method: str, path: str = "", **options: Any) -> httpx.Response:
    token = (await user.client.get("/api/auth/token")).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    return await user.client.request(method, f"/api/{user.id}/tasks{path}", headers=headers, **options)


async def test_boot_token_and_its_user(database_url: str) -> None:
    async with full_stack(database_url) as (frontend, _), frontend.sign_up() as ada:
        boot = await ada.boot()
        assert boot["user"] == {"id": ada.id, "name": "Ada", "email": ada.email, "emailVerified": False}
        headers = {"Authorization": f"Bearer {boot['token']}"}
        created = await ada.client.post(f"/api/{ada.id}/tasks", json={"title": "Buy milk"}, headers=headers)
        assert created.status_code == 201
        assert created.headers["etag"] == '"v1"'
        foreign = await ada.client.get("/api/somebody-else/tasks", headers=headers)
        assert foreign.status_code == 403


async def test_deleted_account_takes_its_tasks_along(database_url: str) -> None:
    async with (
        full_stack(database_url) as (frontend, _),
        frontend.sign_up("Ada") as ada,
        frontend.sign_up("Bob", "198.51.100.2") as bob,
    ):
        for user in (ada, bob):
            assert (await call(user, "POST", json={"title": "Buy milk"})).status_code == 201
        assert (await ada.post("delete-user", {"password": "another password"})).status_code == 400
        assert (await ada.post("delete-user", {"password": PASSWORD})).status_code == 200
        assert (await ada.boot())["user"] is None
        assert await count(database_url, "SELECT count(*) FROM tasks") == 1
        assert (await call(bob, "GET")).json()["count"] == 1


async def test_changed_password_ends_the_other_sessions(database_url: str) -> None:
    async with (
        running_frontend(database_url) as frontend,
        frontend.sign_up() as ada,
        frontend.client("198.51.100.2") as other,
    ):
        body = {"email": ada.email, "password": PASSWORD}
        assert (await other.post("/api/auth/sign-in/email", json=body)).status_code == 200
        change = {
            "currentPassword": PASSWORD,
            "newPassword": "a longer password",
            "revokeOtherSessions": True,
        }
        assert (await ada.post("change-password", change)).status_code == 200
        assert boot_of(await other.get("/"))["user"] is None
        assert (await ada.boot())["user"]["id"] == ada.id


async def test_sign_up_can_be_closed(database_url: str) -> None:
    async with running_frontend(database_url, SIGN_UP="off") as frontend, frontend.client() as client:
        assert boot_of(await client.get("/"))["signUp"] is False
        body = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
        answer = await client.post("/api/auth/sign-up/email", json=body)
        assert answer.status_code == 400
    assert await count(database_url, "SELECT count(*) FROM users") == 0


async def test_migrations_of_both_at_the_same_time(empty_database_url: str) -> None:
    async def own() -> None:
        code, output, errors = await run_frontend(empty_database_url, "migrate")
        assert code == 0, output + errors

    await asyncio.gather(own(), migrate(empty_database_url, SCHEMA), own())
    await own()
    await migrate(empty_database_url, SCHEMA)
    # One key: replicas that start together make none.
    assert await count(empty_database_url, "SELECT count(*) FROM jwks") == 1
    async with full_stack(empty_database_url) as (frontend, _), frontend.sign_up() as ada:
        assert (await call(ada, "POST", json={"title": "Buy milk"})).status_code == 201


@pytest.mark.parametrize("first", ["service", "frontend"])
async def test_migrations_in_either_order(empty_database_url: str, first: str) -> None:
    if first == "service":
        await migrate(empty_database_url, SCHEMA)
    code, output, errors = await run_frontend(empty_database_url, "migrate")
    assert code == 0, output + errors
    await migrate(empty_database_url, SCHEMA)
    async with full_stack(empty_database_url) as (frontend, _), frontend.sign_up() as ada:
        assert (await call(ada, "POST", json={"title": "Buy milk"})).status_code == 201


async def test_migration_waits_for_a_database_that_starts(
    empty_database_url: str, postgres_folder: Path
) -> None:
    """The proxy in front of PostgreSQL listens only after the first attempt has failed."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("node", str(SERVER), "migrate"),
        env=await frontend_environment(
            f"postgresql://postgres@127.0.0.1:{port}/{database_name(empty_database_url)}", 3000, {}
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"the database does not respond" in await process.stdout.readline()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        socket = str(postgres_folder / "data" / "sockets" / ".s.PGSQL.5432")
        upstream, downstream = await asyncio.open_unix_connection(socket)
        await asyncio.gather(_copy(reader, downstream), _copy(upstream, writer))

    async with await asyncio.start_server(forward, "127.0.0.1", port):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert await count(empty_database_url, "SELECT count(*) FROM jwks") == 1


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Mailbox:
    """Receives e-mails by SMTP."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    async def next(self, subject: str) -> str:
        """Wait for a message with this subject, and return its text."""
        found = await poll_until(
            lambda: next((each for each in self.messages if each["subject"] == subject), None), what=subject
        )
        assert found is not None
        self.messages.remove(found)
        text = found.get_payload(decode=True)
        assert isinstance(text, bytes)
        return text.decode()


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield mailbox, f"smtp://127.0.0.1:{controller.port}"
    finally:
        controller.stop()


async def test_forgotten_password(database_url: str, mailbox: tuple[Mailbox, str]) -> None:
    box, smtp_url = mailbox
    settings: dict[str, Any] = {"SMTP_URL": smtp_url, "MAIL_FROM": "Tasks <tasks@example.com>"}
    async with running_frontend(database_url, **settings) as frontend, frontend.sign_up() as ada:
        assert (await ada.boot())["mail"] is True
        verify = re.search(r"http\S+/api/auth/verify-email\S+", await box.next("Confirm your e-mail address"))
        assert verify is not None
        assert (await ada.client.get(verify[0])).status_code == 302
        assert (await ada.boot())["user"]["emailVerified"] is True

        known = await ada.post("request-password-reset", {"email": ada.email})
        unknown = await ada.post("request-password-reset", {"email": "unknown@example.com"})
        assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
        link = re.search(r"(http\S+)/reset-password#token=(\S+)", await box.next("Reset your password"))
        assert link is not None
        assert link[1] == frontend.url
        body = {"token": link[2], "newPassword": "a new long password"}
        assert (await ada.post("reset-password", body)).status_code == 200
        assert (await ada.post("reset-password", body)).status_code == 400  # once
        assert (await ada.boot())["user"] is None
        for password, status in ((PASSWORD, 401), ("a new long password", 200)):
            answer = await ada.post("sign-in/email", {"email": ada.email, "password": password})
            assert answer.status_code == status
        assert link[2] not in str(frontend.logs)


async def test_without_a_mail_server_nothing_offers_e_mails(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        assert (await ada.boot())["mail"] is False
        assert (await ada.post("request-password-reset", {"email": ada.email})).status_code == 400
