"""JSON responses of a resource: one entity with its ETag, or one page with the link to the next page."""

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
    """Return a response with a JSON body. msgspec encodes it without the validation that FastAPI would run."""
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def entity_response(entity: Any, version: int) -> Response:
    """Return an entity with the ETag of its version."""
    return json_response(entity, headers={"ETag": etag(version)})


def created_response(request: Request, entity: Any, version: int) -> Response:
    """Return a 201 with a new entity, its ETag and its `Location` below the request path."""
    location = f"{quote(request.scope['path'])}/{entity.id}"
    return json_response(entity, HTTPStatus.CREATED, {"ETag": etag(version), "Location": location})


def not_modified_response(version: int) -> Response:
    """Return a 304, the response if `If-None-Match` names the current version."""
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag(version)})


def page_response(request: Request, page: Any) -> Response:
    """Return a page. Its `next_cursor`, if any, is also sent as `Link: rel="next"` (RFC 8288)."""
    headers = {}
    if page.next_cursor is not None:
        parameters = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        query = urlencode([*parameters, ("cursor", page.next_cursor)])
        headers["Link"] = f'<?{query}>; rel="next"'
    return json_response(page, headers=headers)
