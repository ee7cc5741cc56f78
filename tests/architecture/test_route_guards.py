"""Every route needs a token of the user in its path. The routes are discovered."""

from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request

from backend.config import Settings
from backend.main import create_app
from backend.platform.http.dependencies import owner
from tests.support.asgi import call
from tests.support.routes import dependencies, endpoints, example_path

# Public paths. Add a path here only on purpose.
PUBLIC_PATHS = {
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/docs",
    "/docs/oauth2-redirect",
    "/openapi.json",
    "/static-offline-docs/swagger-ui.css",
}


def unguarded(app: FastAPI) -> Iterator[str]:
    """Yield each route that a request without a token, or with a token of another user, could reach."""
    for endpoint in endpoints(app):
        if endpoint.path in PUBLIC_PATHS:
            continue
        if not endpoint.path.startswith("/api/{user_id}/"):
            yield f"{endpoint.method} {endpoint.path} is outside of /api/{{user_id}}/"
        elif owner not in set(dependencies(endpoint.route.dependant)):
            yield f"{endpoint.method} {endpoint.path} does not check the owner"


def make_app() -> FastAPI:
    return create_app(Settings.model_construct())


def test_every_route_checks_token_and_owner() -> None:
    app = make_app()
    assert any(each.path.startswith("/api/") for each in endpoints(app))
    assert list(unguarded(app)) == []


async def unguarded_endpoint(request: Request) -> None:
    """Replace the endpoint of a route without the owner check."""


@pytest.mark.parametrize(
    "path", ["/reports", "/api/tasks", "/api/{user_id}/report", "/admin/{user_id}/tasks"]
)
@pytest.mark.parametrize("included", [True, False])
def test_a_route_without_a_guard_is_detected(path: str, *, included: bool) -> None:
    app = make_app()
    if included:
        other = APIRouter()
        other.add_api_route(path, unguarded_endpoint, dependencies=[Depends(unguarded_endpoint)])
        app.include_router(other)
    else:
        app.add_api_route(path, unguarded_endpoint)
    assert len(list(unguarded(app))) == 1


def spellings(path: str) -> Iterator[str]:
    """Yield variants of a path that a proxy or a server could normalize to the same path."""
    yield path
    yield path.upper()
    yield path.replace("/api", "/Api", 1)
    for segment in ("//", "/./", "/x/../", "/%2e/", "/%2F", "/%2f/", "/;/", "/%00/", "/ /", "\\", "/%5C"):
        yield path.replace("/", segment, 1)
        yield path.replace("/tasks", f"{segment}tasks", 1)
        yield path.replace("/api/", f"/api{segment}", 1)
        yield "/health" + path.replace("/", segment, 1)
    for end in ("/", "%0A", "%20", ".", "?", ";", "#", "/.", "%2F", "\n", "\t"):
        yield path + end
    for begin in (
        "/health/..",
        "/docs/..",
        "/static-offline-docs/..",
        "/%61pi/..",
        "//example.com",
        "http://x",
    ):
        yield begin + path
    yield path.replace("api", "%61%70%69", 1)
    yield path.replace("api", "\N{FULLWIDTH LATIN SMALL LETTER A}pi", 1)
    yield quote(path, safe="")
    yield path[1:]


@pytest.mark.parametrize("root_path", ["", "/svc", "/svc/", "/a%20b"])
async def test_no_variant_of_a_path_is_served_without_a_token(root_path: str) -> None:
    app = make_app()
    reached = 0
    for endpoint in endpoints(app):
        if endpoint.path in PUBLIC_PATHS:
            continue
        path = example_path(endpoint.path, "alice")
        for spelling in {*spellings(path), *(root_path + each for each in spellings(path))}:
            for prefix in {"", root_path}:
                for method in {endpoint.method, "HEAD", "OPTIONS"}:
                    response = await call(app, method, prefix + unquote(spelling), root_path=root_path)
                    assert response.status in {401, 404, 405}, (method, spelling)
                    reached += response.status == 401
    assert reached > 100
