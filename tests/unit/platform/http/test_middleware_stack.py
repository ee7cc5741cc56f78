"""The middleware stack in memory: CORS, security headers, request ids, tokens, and unexpected errors."""

import re
from pathlib import Path
from typing import Never, override

import pytest
from structlog.testing import capture_logs

from backend.platform.observability.metrics import REGISTRY
from backend.platform.server.drain import shutdown_flag
from tests.support.asgi import call
from tests.support.fakes import FakeRepository, app_on, send
from tests.support.service import SECRET
from tests.support.tokens import claims, hs256

TASKS = "/api/alice/tasks"
ORIGIN = "http://localhost:3000"
TOKEN = hs256(SECRET, claims(sub="alice"))

# What browsers' frontends and instrumentation add: W3C, OpenTelemetry, Sentry, Zipkin, Datadog, New Relic, Jaeger, …
SENT_BY_BROWSERS = (
    "authorization, content-type, idempotency-key, if-match, if-none-match, x-request-id, accept-language,"
    "traceparent, tracestate, baggage, sentry-trace, b3, x-b3-traceid, x-b3-spanid, x-b3-sampled, uber-trace-id,"
    "x-datadog-trace-id, x-datadog-origin, newrelic, elastic-apm-traceparent, x-amzn-trace-id, request-id,"
    "request-context, x-cloud-trace-context, cache-control, pragma, x-requested-with, if-modified-since"
)


class BrokenRepository(FakeRepository):
    """Fails unexpectedly."""

    @override
    async def list(self, *_arguments: object) -> Never:
        raise RuntimeError("the secret of the database")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_preflight_allows_every_method_and_header_without_a_token(method: str) -> None:
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": SENT_BY_BROWSERS,
    }
    answer = await call(app_on(FakeRepository()), "OPTIONS", TASKS, headers)
    assert (answer.status, answer.header("access-control-allow-origin")) == (200, ORIGIN)
    assert method in (answer.header("access-control-allow-methods") or "")
    assert answer.header("access-control-allow-headers") == SENT_BY_BROWSERS
    assert "Access-Control-Request-Headers" in (answer.header("vary") or "")


async def test_a_service_without_allowed_origins_has_no_cors() -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    app = app_on(FakeRepository(), allowed_origins=())
    preflight = await call(app, "OPTIONS", TASKS, headers)
    answer = await call(app, "GET", TASKS, {"Origin": ORIGIN, "Authorization": f"Bearer {TOKEN}"})
    assert (preflight.status, answer.status) == (401, 200)
    assert answer.header("access-control-allow-origin") is None


async def test_unexpected_error_reveals_no_cause_and_is_readable_by_a_browser() -> None:
    with capture_logs() as entries:
        answer = await send(BrokenRepository(), "GET", TASKS, headers={"Origin": ORIGIN})
    assert (answer.status, answer.json()["type"]) == (500, "about:blank")
    assert answer.json()["request_id"] == answer.header("x-request-id")
    assert answer.header("access-control-allow-origin") == ORIGIN
    assert b"secret" not in answer.body
    assert [entry["path"] for entry in entries if entry["log_level"] == "error"] == [TASKS]


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a/b", "ü", "a\nb"])
async def test_request_id_unsafe_for_logs_is_replaced(sent: str) -> None:
    answer = await send(FakeRepository(), "GET", TASKS, headers={"X-Request-ID": sent})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.header("x-request-id") or "")


@pytest.mark.parametrize("sent", ["from.here-1", "A_b.9", "x" * 128])
async def test_request_id_of_the_client_is_kept(sent: str) -> None:
    answer = await send(FakeRepository(), "GET", "/nowhere", headers={"X-Request-ID": sent})
    assert (answer.header("x-request-id"), answer.json()["request_id"]) == (sent, sent)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN} x",
        f"Bearer\t{TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Bearer {TOKEN[:-4]}AAAA",
    ],
)
async def test_other_credentials_are_unauthorized(authorization: str) -> None:
    repository = FakeRepository()
    answer = await send(repository, "GET", TASKS, headers={"Authorization": authorization})
    assert (answer.status, answer.header("www-authenticate")) == (401, "Bearer")
    assert answer.json()["type"] == "urn:task-service:problem:invalid-token"
    assert repository.calls == []


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "])
async def test_scheme_is_case_insensitive_and_spaces_are_ignored(authorization: str) -> None:
    answer = await send(FakeRepository(), "GET", TASKS, headers={"Authorization": authorization})
    assert answer.status == 200


async def test_second_authorization_header_is_unauthorized() -> None:
    twice = {"Authorization": f"Bearer {TOKEN}", "authorization": f"Bearer {TOKEN}"}
    answer = await call(app_on(FakeRepository()), "GET", TASKS, twice)
    assert answer.status == 401


@pytest.mark.parametrize(
    ("scheme", "max_age", "expected"),
    [
        ("http", 60, None),
        ("https", 60, "max-age=60; includeSubDomains"),
        ("https", 0, None),
    ],
)
async def test_security_headers_and_hsts_only_over_https(
    scheme: str, max_age: int, expected: str | None
) -> None:
    app = app_on(FakeRepository(), hsts_max_age_seconds=max_age)
    for path in ("/health", "/nowhere", TASKS):
        answer = await call(app, "GET", path, scheme=scheme)
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("referrer-policy") == "no-referrer"
        assert answer.header("content-security-policy") == "frame-ancestors 'none'"
        assert answer.header("strict-transport-security") == expected


async def test_responses_close_the_connection_during_a_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await send(FakeRepository(), "GET", TASKS)).header("connection") is None
    monkeypatch.setattr(shutdown_flag, "is_set", True)
    assert (await send(FakeRepository(), "GET", TASKS)).header("connection") == "close"


async def test_head_is_counted_as_head() -> None:
    labels = {
        "http_request_method": "HEAD",
        "http_route": "/api/{user_id}/tasks",
        "http_response_status_code": "200",
    }
    name = "http_server_request_duration_seconds_count"
    before = REGISTRY.get_sample_value(name, labels) or 0
    assert (await send(FakeRepository(), "HEAD", TASKS)).status == 200
    assert REGISTRY.get_sample_value(name, labels) == before + 1


async def test_docs_page_loads_all_resources_from_the_service(tmp_path: Path) -> None:
    app = app_on(FakeRepository(), data_dir=tmp_path)
    page = (await call(app, "GET", "/docs")).body.decode()
    links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page)
    assert len(links) >= 4
    for link in links:
        assert re.match(r"/[^/]", link), "a URL on another host"
        part = await call(app, "GET", link)
        assert (part.status, part.body != b"") == (200, True), link


async def test_openapi_document_needs_no_token() -> None:
    app = app_on(FakeRepository())
    assert (await call(app, "GET", "/openapi.json")).json() == app.openapi()
