"""Attacks on accounts and sessions, against the frontend's server with a real PostgreSQL."""

import asyncpg
import httpx
import pytest

from tests.support.frontend import PASSWORD, Account, Frontend, boot_of, running_frontend

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
    """The cookie is signed: a backup of the database contains nobody's session."""
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


async def test_a_flood_of_sign_ups_is_limited_per_client(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.client("203.0.113.1") as flood:
        statuses = [
            (
                await flood.post(
                    "/api/auth/sign-up/email",
                    json={"name": "Bot", "email": f"bot{number}@example.com", "password": PASSWORD},
                )
            ).status_code
            for number in range(6)
        ]
        assert statuses == [200, 200, 200, 429, 429, 429]
        async with frontend.sign_up("Ada", "203.0.113.2") as ada:
            assert (await ada.boot())["user"]["id"] == ada.id
