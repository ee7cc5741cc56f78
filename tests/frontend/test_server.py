"""The frontend's server with a real PostgreSQL: pages, probes, logs, metrics, drain, limits."""

import asyncio
import signal
from typing import Any

import httpx
import pytest

from tests.support.database import Server
from tests.support.frontend import (
    PASSWORD,
    SECRET,
    Frontend,
    boot_of,
    database_name,
    run_frontend,
    running_frontend,
)
from tests.support.waiting import poll_until

pytestmark = pytest.mark.timeout(240)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)


async def test_page_assets_and_refusals(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.client() as client:
        page = await client.get("/")
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert page.headers["content-security-policy"] == POLICY
        assert "strict-transport-security" not in page.headers
        assert boot_of(page) == {"user": None, "signUp": True, "mail": False}
        unknown = await client.get("/no/such/page")
        assert (unknown.status_code, boot_of(unknown)["user"]) == (404, None)

        script = page.text.split('src="/assets/')[1].split('"')[0]
        for encoding in ("br", "gzip", "identity"):
            asset = await client.get(f"/assets/{script}", headers={"Accept-Encoding": encoding})
            assert asset.headers.get("content-encoding", "identity") == encoding
            assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert asset.headers["content-type"].startswith("text/javascript")
        assert (await client.get("/assets/absent.js")).status_code == 404
        assert (await client.get("/assets/..%2f..%2fserver%2fmain.js")).status_code == 404

        assert (await client.get("/api/auth/list-sessions")).status_code == 404  # not used by the page
        assert (await client.get("/api/ada/tasks")).status_code == 404  # no API_URL: the ingress routes it
        assert (await client.delete("/")).status_code == 405
        large = await client.post("/api/auth/sign-in/email", json={"email": "x" * 70_000})
        assert large.status_code == 413


async def test_another_origin_cannot_use_the_session(database_url: str) -> None:
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        foreign = await ada.client.post(
            "/api/auth/sign-out", json={}, headers={"Origin": "https://evil.example"}
        )
        assert foreign.status_code == 403
        assert (await ada.boot())["user"]["id"] == ada.id
        cookie = next(iter(ada.client.cookies.jar))
        assert (cookie.name, cookie.secure) == ("better-auth.session_token", False)
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "Lax"


async def test_cookies_are_secure_and_https_is_strict_behind_tls(database_url: str) -> None:
    settings: dict[str, Any] = {"PUBLIC_URL": "https://tasks.example.com"}
    async with running_frontend(database_url, **settings) as frontend, frontend.client() as client:
        page = await client.get("/")
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        answer = await client.post(
            "/api/auth/sign-up/email",
            json={"name": "Ada", "email": "ada@example.com", "password": PASSWORD},
            headers={"Origin": "https://tasks.example.com"},
        )
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Secure-better-auth.session_token=")
        assert "; Secure" in cookie


async def test_probes_metrics_and_logs(empty_database_url: str) -> None:
    async with running_frontend(empty_database_url, migrated=False) as frontend:
        assert (await frontend.probe("/livez")).status_code == 200
        assert (await frontend.probe("/readyz")).status_code == 503
        code, _, errors = await run_frontend(empty_database_url, "migrate")
        assert code == 0, errors
        assert (await frontend.probe("/readyz")).status_code == 200
        trace_id = "0af7651916cd43dd8448eb211c80319c"
        async with frontend.sign_up() as ada:
            parent = f"00-{trace_id}-b7ad6b7169203331-01"
            page = await ada.client.get("/", headers={"traceparent": parent})
            await ada.client.get("/wp-admin/setup.php?secret=1")
            token = boot_of(page)["token"]
        metrics = (await frontend.probe("/metrics")).text
        labels = (
            'http_request_method="POST",http_route="/api/auth/sign-up/email",http_response_status_code="200"'
        )
        assert f"http_server_request_duration_seconds_count{{{labels}}} 1" in metrics
        assert 'http_route="unmatched",http_response_status_code="404"' in metrics
        assert 'db_client_connection_count{db_client_connection_state="idle"}' in metrics
        assert "process_resident_memory_bytes" in metrics

        def line() -> dict[str, object] | None:
            return next((each for each in frontend.logs if each.get("trace_id") == trace_id), None)

        found = await poll_until(line, what="the access line of the request")
        assert found is not None
        assert (found["route"], found["status"], found["user"]) == ("/", 200, ada.id)
        assert found["request_id"] == page.headers["x-request-id"]
        written = str(frontend.logs) + metrics
        for private in ("ada@example.com", token, "wp-admin", "secret=1", "198.51.100.1", SECRET):
            assert private not in written


async def connection_failures(frontend: Frontend) -> float:
    metrics = (await frontend.probe("/metrics")).text
    return float(metrics.partition("\ndb_client_connection_failures_total ")[2].split()[0])


async def test_an_outage_of_the_database_is_no_sign_out(
    database_url: str, migrated_server: tuple[Server, str]
) -> None:
    server, name = migrated_server[0], database_name(database_url)
    async with running_frontend(database_url) as frontend, frontend.sign_up() as ada:
        assert (await frontend.probe("/readyz")).status_code == 200
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 - made by the fixture
        )
        boot = await ada.boot()
        assert boot == {"unavailable": True, "signUp": True, "mail": False}
        broken = await connection_failures(frontend)
        token = await ada.client.get("/api/auth/token")
        assert await connection_failures(frontend) > broken
        assert (token.status_code, token.headers["retry-after"]) == (503, "5")
        # The page explains the outage, so the pod stays in service.
        assert (await frontend.probe("/readyz")).status_code == 200
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert (await ada.boot())["user"]["id"] == ada.id


async def test_limits_count_per_client_across_replicas(database_url: str) -> None:
    async with (
        running_frontend(database_url) as first,
        running_frontend(database_url, migrated=False) as second,
    ):

        async def attempt(port_url: str, address: str, forged: str = "") -> int:
            headers = {"Origin": port_url, "X-Forwarded-For": f"{forged}{address}"}
            body = {"email": "unknown@example.com", "password": "a wrong password"}
            async with httpx.AsyncClient(base_url=port_url, headers=headers, timeout=60) as client:
                return (await client.post("/api/auth/sign-in/email", json=body)).status_code

        replicas = [first.url, second.url] * 3
        statuses = [
            await attempt(url, "203.0.113.1", f"192.0.2.{count}, ") for count, url in enumerate(replicas)
        ]
        assert statuses.count(401) == 3, statuses
        assert statuses.count(429) == 3
        assert await attempt(first.url, "203.0.113.2") == 401


async def test_drain_serves_requests_until_the_end(database_url: str) -> None:
    async with running_frontend(database_url, DRAIN_SECONDS="2") as frontend, frontend.client() as client:
        await client.get("/")
        frontend.process.send_signal(signal.SIGTERM)
        await poll_until(lambda: any(each["event"] == "draining" for each in frontend.logs))
        assert (await frontend.probe("/readyz")).status_code == 503
        assert (await frontend.probe("/livez")).status_code == 200
        served = await client.get("/")
        assert (served.status_code, served.headers["connection"]) == (200, "close")
        assert await frontend.process.wait() == 0
        await poll_until(lambda: frontend.logs[-1]["event"] == "stopped")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"PUBLIC_URL": "tasks"}, "PUBLIC_URL must be an origin"),
        ({"BETTER_AUTH_SECRET": "short"}, "BETTER_AUTH_SECRET must have at least 32 characters, not 5."),
    ],
)
async def test_an_invalid_setting_is_one_sentence(
    database_url: str, settings: dict[str, Any], sentence: str
) -> None:
    code, output, errors = await run_frontend(database_url, **settings)
    assert (code, output) == (2, "")
    assert errors.startswith(sentence)
    assert errors.count("\n") == 1


async def test_a_port_in_use_is_one_sentence(database_url: str) -> None:
    async with running_frontend(database_url) as frontend:
        port = int(frontend.url.rsplit(":", 1)[1])
        code, _, errors = await run_frontend(database_url, port=port)
        assert (code, errors) == (2, f"port {port} is in use: choose another one.\n")


async def test_the_api_gets_the_trace_but_never_the_cookie(database_url: str) -> None:
    received: list[bytes] = []

    async def api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(api, "127.0.0.1", 0) as listener:
        api_url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with running_frontend(database_url, API_URL=api_url) as frontend, frontend.sign_up() as ada:
            trace_id = "0af7651916cd43dd8448eb211c80319c"
            headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01", "Authorization": "Bearer t"}
            answer = await ada.client.get(f"/api/{ada.id}/tasks?limit=5", headers=headers)
            assert (answer.status_code, answer.headers["etag"], answer.text) == (200, '"v1"', "[]")
        head = received[0].decode().lower()
        assert head.startswith(f"get /api/{ada.id.lower()}/tasks?limit=5 ")
        assert "authorization: bearer t" in head
        assert f"traceparent: 00-{trace_id}-" in head
        assert "cookie" not in head
        listener.close()
        async with running_frontend(database_url, API_URL=api_url, migrated=False) as frontend:
            async with frontend.client() as client:
                absent = await client.get("/api/ada/tasks")
            assert (absent.status_code, absent.headers["retry-after"]) == (503, "5")
