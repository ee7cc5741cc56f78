"""The middleware stack of the service."""

from http import HTTPMethod
from typing import Final

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from backend.platform.auth.tokens import TokenVerifier
from backend.platform.http.middleware.body_limit import BodyLimitMiddleware
from backend.platform.http.middleware.concurrency_limit import ConcurrencyLimitMiddleware
from backend.platform.http.middleware.head import HeadMiddleware
from backend.platform.http.middleware.jwt_auth import JwtAuthMiddleware
from backend.platform.http.middleware.ops_port import OpsPortMiddleware
from backend.platform.http.middleware.request_id import RequestIdMiddleware
from backend.platform.http.middleware.request_metrics import RequestMetricsMiddleware
from backend.platform.http.middleware.response_headers import ResponseHeadersMiddleware
from backend.platform.http.middleware.root_path import RootPathMiddleware
from backend.platform.http.middleware.tracing import TraceMiddleware
from backend.platform.http.middleware.unhandled_exception import UnhandledExceptionMiddleware
from backend.platform.server.drain import Drain
from backend.platform.settings.server import ServerSettings

__all__ = ["EXPOSED_HEADERS", "middleware"]

EXPOSED_HEADERS: Final = (
    "Allow",
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
"""Response headers that scripts in a browser can read (CORS)."""


def middleware(
    settings: ServerSettings, verifier: TokenVerifier, drain: Drain, ops: FastAPI
) -> list[Middleware]:
    """Return the middleware, outermost first. `ops` is the application of the ops port."""
    outermost = (
        [Middleware(OpsPortMiddleware, port=settings.ops_port, ops=ops)]
        if settings.ops_port is not None
        else []
    )
    return [
        Middleware(RootPathMiddleware, root_path=settings.root_path),
        *outermost,
        Middleware(RequestMetricsMiddleware),
        Middleware(TraceMiddleware),
        Middleware(RequestIdMiddleware),
        Middleware(HeadMiddleware),
        Middleware(
            ResponseHeadersMiddleware, drain=drain, hsts_max_age_seconds=settings.hsts_max_age_seconds
        ),
        *_cors(settings.allowed_origins),
        Middleware(UnhandledExceptionMiddleware),
        # Before the queue, so that a rejected request never holds a permit.
        Middleware(JwtAuthMiddleware, verifier=verifier),
        Middleware(
            ConcurrencyLimitMiddleware,
            max_concurrent=settings.max_concurrent_requests,
            max_concurrent_per_user=settings.max_concurrent_requests_per_user,
            timeout_seconds=settings.request_timeout_seconds,
        ),
        Middleware(
            BodyLimitMiddleware,
            max_bytes=settings.max_body_bytes,
            timeout_seconds=settings.body_timeout_seconds,
        ),
    ]


def _cors(allowed_origins: tuple[str, ...]) -> list[Middleware]:
    if not allowed_origins:  # a frontend on the same host needs none
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=allowed_origins,
            allow_credentials=True,
            allow_methods=[*HTTPMethod],
            # Any header: instrumentation adds its own (baggage, sentry-trace, b3). A header grants an allowed
            # origin no rights; only the token does.
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    ]
