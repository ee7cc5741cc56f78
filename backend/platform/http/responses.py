"""JSON responses of a resource: one entity with its ETag, and one page with the link to the next."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from fastapi import Request, Response

from backend.platform.http.conditional_requests import etag

__all__ = ["created_response", "entity_response", "json_response", "not_modified_response", "page_response"]


def json_response(
    body: Any, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    """Return a body that msgspec encodes: FastAPI would validate and dump what the database returned."""
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def entity_response(entity: Any, version: int) -> Response:
    """Return an entity with the ETag of its version."""
    return json_response(entity, headers={"ETag": etag(version)})


def created_response(request: Request, entity: Any, version: int) -> Response:
    """Return a new entity of the collection at the request's path, with `Location` and ETag (201)."""
    location = f"{quote(request.scope['path'])}/{entity.id}"
    return json_response(entity, HTTPStatus.CREATED, {"ETag": etag(version), "Location": location})


def not_modified_response(version: int) -> Response:
    """Return the response to a satisfied `If-None-Match` (304)."""
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag(version)})


def page_response(request: Request, page: Any) -> Response:
    """Return a page; its `next_cursor`, if any, also as `Link: rel="next"` (RFC 8288)."""
    headers = {}
    if page.next_cursor is not None:
        parameters = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        following = urlencode([*parameters, ("cursor", page.next_cursor)])
        headers["Link"] = f'<?{following}>; rel="next"'
    return json_response(page, headers=headers)
