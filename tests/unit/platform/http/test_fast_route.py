"""A direct route answers as FastAPI's own does, and refuses at the start what it cannot do."""

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
    Path,
    Query,
    Request,
    Response,
)
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from backend.platform.http.fast_route import FastRoute


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = 50
    text: str | None = None


async def caller(name: Annotated[str, Path()], request: Request) -> str:
    request.scope["calls"].append("caller")
    return f"{name} of {request.method}"


async def item(request: Request, who: Annotated[str, Depends(caller)]) -> str:
    request.scope["calls"].append("item")
    return f"item of {who}"


async def answer(
    who: Annotated[str, Depends(caller)],
    what: Annotated[str, Depends(item)],
    number: Annotated[int, Path(ge=1)],
    query: Annotated[Filter, Query()],
    request: Request,
) -> Response:
    return Response(repr((who, what, number, query, request.scope["calls"])))


def client(route_class: type[APIRoute]) -> httpx.AsyncClient:
    router = APIRouter(route_class=route_class)
    router.get("/{name}/{number}")(answer)
    app = FastAPI()
    app.router.routes[:0] = router.routes

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"calls": []}, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(counting), base_url="http://test")


@pytest.mark.parametrize(
    "path",
    [
        "/anna/3",
        "/anna/3?limit=7&text=a%20b",
        "/anna/3?limit=7&limit=8",
        "/anna/3?text=",
        "/%2Fanna/0",
        "/anna/0?limit=x&colour=red",
        "/anna/three?limit=1.5",
        "/anna/3?colour=red&shape=round",
    ],
)
async def test_answers_as_fastapi_does(path: str) -> None:
    async with client(FastRoute) as direct, client(APIRoute) as general:
        ours, theirs = await direct.get(path), await general.get(path)
    assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)


async def test_calls_each_dependency_once() -> None:
    async with client(FastRoute) as direct:
        text = (await direct.get("/anna/3")).text
    assert text.endswith("['caller', 'item'])")


def synchronous() -> Response:
    return Response()


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
    return response


async def with_single_query(limit: int) -> Response:
    return Response(str(limit))


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
    ],
)
def test_refuses_what_only_fastapi_can_do(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="needs FastAPI's own route"):
        FastRoute("/{name}", function)
