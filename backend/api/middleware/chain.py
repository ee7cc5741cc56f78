"""The middleware around the routes, in its order."""

from http import HTTPMethod

from fastapi import FastAPI
from starlette.middleware import Middleware

from backend.api.middleware.body_limit import BodyLimitMiddleware
from backend.api.middleware.cross_origin import CrossOriginMiddleware
from backend.api.middleware.head import HeadMiddleware
from backend.api.middleware.jwt_auth import JwtAuthMiddleware
from backend.api.middleware.measure import MeasureMiddleware
from backend.api.middleware.ops_port import OpsPortMiddleware
from backend.api.middleware.overload import OverloadMiddleware
from backend.api.middleware.rate_limit import RateLimitMiddleware
from backend.api.middleware.request_id import RequestIdMiddleware
from backend.api.middleware.response_headers import ResponseHeadersMiddleware
from backend.api.middleware.root_path import RootPathMiddleware
from backend.api.middleware.tracing import TraceMiddleware
from backend.api.middleware.unexpected import UnexpectedErrorMiddleware
from backend.api.openapi import RESPONSE_HEADERS
from backend.auth.tokens import TokenVerifier
from backend.config import Settings
from backend.process.drain import Drain

__all__ = ["middleware"]


def middleware(settings: Settings, verifier: TokenVerifier, drain: Drain, ops: FastAPI) -> list[Middleware]:
    """Return the middleware, the outermost first; `ops` answers on the ops port."""
    outermost = (
        [Middleware(OpsPortMiddleware, port=settings.ops_port, ops=ops)]
        if settings.ops_port is not None
        else []
    )
    limited = (
        [Middleware(RateLimitMiddleware, limit=settings.rate_limit_per_minute)]
        if settings.rate_limit_per_minute
        else []
    )
    return [
        Middleware(RootPathMiddleware, root_path=settings.root_path),
        *outermost,
        Middleware(MeasureMiddleware),
        Middleware(TraceMiddleware),
        Middleware(RequestIdMiddleware),
        Middleware(HeadMiddleware),
        Middleware(
            ResponseHeadersMiddleware, drain=drain, hsts_max_age_seconds=settings.hsts_max_age_seconds
        ),
        Middleware(
            CrossOriginMiddleware,
            allow_origins=settings.allowed_origins,
            allow_credentials=True,
            allow_methods=[*HTTPMethod],
            # Any, by repeating what the preflight names: instrumentation adds its own (baggage, sentry-trace,
            # b3). A header gives an allowed origin no rights; the token does, and other origins get no answer.
            allow_headers=["*"],
            expose_headers=RESPONSE_HEADERS,
        ),
        Middleware(UnexpectedErrorMiddleware),
        # Both before the line for places: who is refused takes none.
        Middleware(JwtAuthMiddleware, verifier=verifier),
        *limited,
        Middleware(
            OverloadMiddleware,
            max_concurrent=settings.max_concurrent_requests,
            max_concurrent_of_user=settings.max_concurrent_requests_per_user,
            timeout_seconds=settings.request_timeout_seconds,
        ),
        Middleware(
            BodyLimitMiddleware,
            max_bytes=settings.max_body_bytes,
            timeout_seconds=settings.body_timeout_seconds,
        ),
    ]
