"""Attacks on accounts and sessions, against the frontend's server with a real PostgreSQL."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from tests.frontend.test_accounts import full_stack
from tests.support.frontend import PASSWORD, Account, Frontend, boot_of, running_frontend
from tests.support.waiting import scaled

pytestmark = pytest.mark.timeout(240)

COOKIE = "better-auth.session_token"


def cookie_of(account: Account) -> str:
    value = account.client.cookies.get(COOKIE)
    assert value is not None
    return value


async def user_of(frontend: Frontend, cookie: str) -> object:
    """Return the user for whom the page is rendered with this cookie."""
    async with frontend.client("198.51.100.9") as client:
        client.cookies.set(COOKIE, cookie)
        assert (await client.get("/api/auth/token")).status_code in {200, 401}
        return boot_of(await client.get("/"))["user"]


async def test_a_request_of_another_origin_or_of_none_is_rejected(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        del ada.client.headers["Origin"]
        foreign = [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Referer": "https://evil.example/"},
            {},
        ]
        for headers in foreign:
            for endpoint, body in (("sign-out", {}), ("delete-user", {"password": PASSWORD})):
                answer = await ada.client.post(f"/api/auth/{endpoint}", json=body, headers=headers)
                assert answer.status_code == 403, headers
        assert (await ada.boot())["user"]["id"] == ada.id


async def test_a_cookie_is_worthless_after_sign_out(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        stolen = cookie_of(ada)
        assert await user_of(frontend, stolen) is not None
        assert (await ada.post("sign-out", {})).status_code == 200
        assert await user_of(frontend, stolen) is None


async def test_a_token_read_from_the_database_is_no_cookie(database_url: str) -> None:
    """The cookie is signed: a backup of the database contains no usable session."""
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        connection = await asyncpg.connect(database_url)
        token = await connection.fetchval("SELECT token FROM session")
        await connection.close()
        value, _, signature = cookie_of(ada).partition(".")
        assert (value, await user_of(frontend, cookie_of(ada)) is not None) == (token, True)
        altered = ("B" if signature[0] == "A" else "A") + signature[1:]
        for forged in (token, f"{token}.", f"{token}.{altered}", f"x{token}.{signature}"):
            assert await user_of(frontend, forged) is None, forged


async def test_each_sign_in_has_a_session_of_its_own(database_url: str) -> None:
    """A cookie that an attacker has planted does not become the victim's session."""
    async with (
        running_frontend(database_url) as frontend,
        frontend.sign_up("Eve") as eve,
        frontend.sign_up("Ada", "198.51.100.2") as ada,
    ):
        planted = cookie_of(eve)
        async with frontend.client("198.51.100.3") as victim:
            victim.cookies.set(COOKIE, planted, domain="127.0.0.1", path="/")
            body = {"email": ada.email, "password": PASSWORD}
            answer = await victim.post("/api/auth/sign-in/email", json=body)
            assert answer.status_code == 200
            given = httpx.Cookies()
            given.extract_cookies(answer)
            assert given[COOKIE] not in {planted, cookie_of(ada)}
        user = await user_of(frontend, planted)
        assert isinstance(user, dict)
        assert user["id"] == eve.id


async def test_sign_in_responds_alike_for_known_and_unknown_addresses(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        answers = [
            await ada.post("sign-in/email", {"email": email, "password": "a wrong password"})
            for email in (ada.email, "unknown@example.com")
        ]
        assert answers[0].status_code == 401
        varying = {"date", "x-request-id"}
        known, unknown = (
            (
                each.status_code,
                each.text,
                {name: value for name, value in each.headers.items() if name not in varying},
            )
            for each in answers
        )
        assert known == unknown


async def test_passwords_are_long_and_stored_as_scrypt_hashes(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        body = {"name": "Bob", "email": "bob@example.com", "password": "eleven char"}
        short = await ada.post("sign-up/email", body)
        assert (short.status_code, short.json()["code"]) == (400, "PASSWORD_TOO_SHORT")
        connection = await asyncpg.connect(database_url)
        (stored,) = await connection.fetch("SELECT password FROM account")
        await connection.close()
        salt, _, digest = stored["password"].partition(":")
        # scrypt with a salt of 16 bytes and a hash of 64.
        assert (len(bytes.fromhex(salt)), len(bytes.fromhex(digest))) == (16, 64)
        assert PASSWORD not in stored["password"]


async def test_a_flood_of_sign_ups_is_limited_and_leaves_the_api_alone(database_url: str) -> None:
    async with full_stack(database_url) as (frontend, service), frontend.sign_up() as ada:
        token = (await ada.client.get("/api/auth/token")).json()["token"]
        listed: list[int] = []

        async def flood(client_number: int) -> list[int]:
            async with frontend.client(f"203.0.113.{client_number}") as client:
                return [
                    (
                        await client.post(
                            "/api/auth/sign-up/email",
                            json={
                                "name": "Bot",
                                "email": f"bot{client_number}.{number}@example.com",
                                "password": PASSWORD,
                            },
                        )
                    ).status_code
                    for number in range(6)
                ]

        async def work(floods: "asyncio.Future[list[list[int]]]") -> None:
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=scaled(10)) as client:
                while not floods.done():
                    listed.append((await client.get(f"/api/{ada.id}/tasks")).status_code)

        floods = asyncio.gather(*(flood(number) for number in range(4)))
        await work(floods)
        assert await floods == [[200, 200, 200, 429, 429, 429]] * 4
        assert set(listed) == {200}
        assert len(listed) > 10


async def test_the_response_to_a_reset_does_not_wait_for_its_e_mail(database_url: str) -> None:
    """Its time would tell whether the address is known."""
    connected = asyncio.Event()

    async def never_greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(never_greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings: dict[str, Any] = {"SMTP_URL": f"smtp://127.0.0.1:{port}", "MAIL_FROM": "tasks@example.com"}
        async with running_frontend(database_url, **settings) as frontend, frontend.sign_up() as ada:
            await (
                connected.wait()
            )  # the e-mail that confirms the address, which sign-up does not wait for either
            connected.clear()
            assert (await ada.post("request-password-reset", {"email": ada.email})).status_code == 200
            await connected.wait()
            assert [each for each in frontend.logs if each["event"].startswith("e-mail")] == []
