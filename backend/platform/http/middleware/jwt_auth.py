"""Verifies the bearer token of each request under `/api/`, before the body is read (401)."""

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import InvalidToken, SigningKeysUnavailable
from backend.platform.http.problem_details import HttpError, problem_response
from backend.platform.http.request_headers import header_values
from backend.platform.http.route_path import get_route_path

__all__ = ["JwtAuthMiddleware"]


class JwtAuthMiddleware:
    """Puts the token's `Principal` into the request's state.

    Args:
        verifier: Verifies the tokens.
    """

    def __init__(self, app: ASGIApp, verifier: TokenVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # The same path that the router matches: otherwise a route could match that is not checked here.
        if scope["type"] == "http" and (path := get_route_path(scope)).startswith("/api/"):
            try:
                principal = await self._verifier.verify(_bearer_token(header_values(scope, b"authorization")))
            except (InvalidToken, SigningKeysUnavailable) as error:
                await problem_response(scope, error)(scope, receive, send)
                return
            if path.endswith("\n"):  # the `$` of Starlette's patterns also matches before a trailing newline
                status = HTTPStatus.NOT_FOUND
                await problem_response(scope, HttpError(status, status.description))(scope, receive, send)
                return
            scope["state"]["principal"] = principal
        await self._app(scope, receive, send)


def _bearer_token(authorization: list[str]) -> str:
    """Return the credential of `Authorization: Bearer …` (RFC 6750 §2.1)."""
    if not authorization:
        raise InvalidToken("Send your token as Authorization: Bearer <token>.")
    scheme, _, token = authorization[0].partition(" ")
    if len(authorization) > 1 or scheme.lower() != "bearer":
        raise InvalidToken("Send one Authorization header, of the scheme Bearer.")
    return token.strip(" ")
