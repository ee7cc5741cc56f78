"""A fast route responds like FastAPI's own route, and declines requests that it does not support."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
)
from pydantic import BaseModel, ConfigDict

from backend.platform.http.fast_route import FastRoute, install
from tests.support.fast_paths import set_fast_paths


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = 50
    text: str | None = None
    tag: list[str] | None = None


async def caller(name: Annotated[str, Path()], request: Request) -> str:
    request.scope["calls"].append("caller")
    return f"{name} of {request.method}"


async def item(request: Request, who: Annotated[str, Depends(caller)]) -> str:
    request.scope["calls"].append("item")
    return f"item of {who}"


async def endpoint(
    who: Annotated[str, Depends(caller)],
    what: Annotated[str, Depends(item)],
    number: Annotated[int, Path(ge=1)],
    query: Annotated[Filter, Query()],
    request: Request,
) -> Response:
    return Response(repr((who, what, number, query, request.scope["calls"])))


def make_app(*endpoints: Callable[..., Any], path: str = "/{name}/{number}") -> FastAPI:
    router = APIRouter()
    for each in endpoints:
        router.add_api_route(path, each, methods=["POST" if each is with_body else "GET"])
    app = FastAPI()
    app.include_router(router)
    return app


def fast_routes(app: FastAPI) -> list[FastRoute]:
    installed: Any = [each for each in app.user_middleware if "routes" in each.kwargs]
    return installed[0].kwargs["routes"] if installed else []


def client(app: FastAPI) -> httpx.AsyncClient:
    async def counting(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"calls": []}, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(counting), base_url="http://test")


@pytest.fixture(autouse=True)
def _fast_route_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    set_fast_paths(monkeypatch, "fast_route")


@pytest.mark.parametrize(
    "path",
    [
        "/anna/3",
        "/anna/3?limit=7&text=a%20b",
        "/anna/3?limit=7&limit=8",
        "/anna/3?text=",
        "/anna/3?tag=a",
        "/anna/3?tag=a&limit=7&tag=b&tag=",
        "/%2Fanna/0",
        "/anna/0?limit=x&colour=red",
        "/anna/three?limit=1.5",
        "/anna/3?colour=red&shape=round",
    ],
)
async def test_responds_like_fastapi(path: str) -> None:
    fast, plain = make_app(endpoint), make_app(endpoint)
    install(fast)
    async with client(fast) as fast_client, client(plain) as plain_client:
        first, second = await fast_client.get(path), await plain_client.get(path)
    assert (first.status_code, first.text) == (second.status_code, second.text)
    assert len(fast_routes(fast)) == 1


async def test_calls_each_dependency_once() -> None:
    app = make_app(endpoint)
    install(app)
    async with client(app) as requests:
        text = (await requests.get("/anna/3")).text
    assert text.endswith("['caller', 'item'])")


async def test_fastapis_route_serves_what_the_fast_one_declines(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(endpoint)
    install(app)
    served = []
    monkeypatch.setattr(FastRoute, "respond", lambda _route, request, _: served.append(request.url.path))
    async with client(app) as requests:
        assert (await requests.get("/anna/0")).status_code == 422
        assert (await requests.post("/anna/3")).status_code == 405
        assert (await requests.get("/anna")).status_code == 404
    assert served == []


async def test_dependency_overrides_apply() -> None:
    app = make_app(endpoint)
    install(app)
    app.dependency_overrides[caller] = lambda: "overridden"
    async with client(app) as requests:
        assert "'overridden'" in (await requests.get("/anna/3")).text
        app.dependency_overrides = {}
        assert "'anna of GET'" in (await requests.get("/anna/3")).text


async def test_an_earlier_route_takes_precedence() -> None:
    app = FastAPI()
    app.add_api_route("/{name}/latest", synchronous)
    app.add_api_route("/{name}/{text}", with_text)
    install(app)
    assert len(fast_routes(app)) == 1
    async with client(app) as requests:
        assert (await requests.get("/anna/latest")).text == "synchronous"
        assert (await requests.get("/anna/first")).text == "first"


async def with_text(text: str) -> Response:
    return Response(text)


def synchronous() -> Response:
    return Response("synchronous")


async def generator() -> AsyncIterator[None]:
    yield


async def with_generator(_nothing: Annotated[None, Depends(generator)]) -> Response:
    return Response()


async def with_header(accept: Annotated[str, Header()]) -> Response:
    return Response(accept)


async def with_cookie(session: Annotated[str, Cookie()]) -> Response:
    return Response(session)


async def with_body(body: Filter) -> Response:
    return Response(repr(body))


async def with_background(tasks: BackgroundTasks) -> Response:
    return Response(background=tasks)


async def with_response(response: Response) -> Response:
    response.headers["X-Set"] = "set"
    return Response("with a header")


async def with_single_query(limit: int) -> Response:
    return Response(str(limit))


class Nested(BaseModel):
    tag: list[list[str]] = []


async def with_nested_list(nested: Annotated[Nested, Query()]) -> Response:
    return Response(repr(nested))


async def with_two_models(one: Annotated[Filter, Query()], two: Annotated[Filter, Query()]) -> Response:
    return Response(repr((one, two)))


async def with_model_response(name: Annotated[str, Path()]) -> Filter:
    return Filter(text=name)


async def with_repeated(who: Annotated[str, Depends(caller, use_cache=False)]) -> Response:
    return Response(who)


@pytest.mark.parametrize(
    "function",
    [
        synchronous,
        with_generator,
        with_header,
        with_cookie,
        with_body,
        with_background,
        with_response,
        with_single_query,
        with_repeated,
        with_nested_list,
        with_two_models,
        with_model_response,
    ],
)
async def test_fastapi_serves_other_signatures(function: Callable[..., Any]) -> None:
    fast, plain = make_app(function), make_app(function)
    install(fast)
    assert fast_routes(fast) == []
    method = "POST" if function is with_body else "GET"
    options: dict[str, Any] = {
        "params": {"limit": "7", "tag": ["a", "b"]},
        "headers": {"Cookie": "session=s"},
    }
    if function is with_body:
        options["json"] = {"limit": 7}
    async with client(fast) as fast_client, client(plain) as plain_client:
        first, second = [
            await each.request(method, "/anna/3", **options) for each in (fast_client, plain_client)
        ]
    assert (first.status_code, first.text) == (second.status_code, second.text)


def with_other_arguments(self: object, value: object) -> None:
    """Replace `validate` with the signature of another release."""


@pytest.mark.parametrize(
    ("target", "replacement"),
    [
        ("fastapi.routing.iter_route_contexts", None),
        ("fastapi._compat.field_annotation_is_scalar", None),
        ("fastapi._compat.ModelField.validate", with_other_arguments),
        ("fastapi.routing.RouteContext.__getattr__", None),
    ],
)
async def test_fastapi_serves_where_its_internals_differ(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, target: str, replacement: Any
) -> None:
    app = make_app(endpoint)
    with monkeypatch.context() as patched:
        if replacement is None:
            patched.delattr(target)
        else:
            patched.setattr(target, replacement)
        install(app)
    assert fast_routes(app) == []
    (record,) = caplog.records
    assert (record.levelname, "fast_route" in record.message) == ("WARNING", True)
    async with client(app) as requests:
        assert "'anna of GET'" in (await requests.get("/anna/3")).text


async def test_nothing_is_installed_while_the_accelerator_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    set_fast_paths(monkeypatch)
    app = make_app(endpoint)
    install(app)
    assert fast_routes(app) == []


class Missing(Exception):
    """An error with a handler."""


async def raising(name: Annotated[str, Path()], number: Annotated[int, Path()]) -> Response:
    raise [Missing(name), HTTPException(418, name), RuntimeError(name)][number]


@pytest.mark.parametrize(("number", "status"), [(0, 404), (1, 418), (2, 500)])
async def test_exception_handlers_apply(number: int, status: int) -> None:
    fast, plain = make_app(raising), make_app(raising)
    install(fast)  # the handlers may follow
    texts = set()
    for app in (fast, plain):
        app.add_exception_handler(Missing, lambda _, error: Response(f"{error} is missing", 404))
        app.add_exception_handler(500, lambda *_: Response("failed", 500))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        response = await httpx.AsyncClient(transport=transport).get(f"http://test/anna/{number}")
        assert response.status_code == status
        texts.add(response.text)
    assert len(texts) == 1
