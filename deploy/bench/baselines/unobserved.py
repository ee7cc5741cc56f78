"""Baseline: the service without metrics of requests and statements, access log and traces."""

from backend import main
from backend.platform.http.middleware.request_metrics import RequestMetricsMiddleware
from backend.platform.http.middleware.tracing import TraceMiddleware
from backend.platform.postgres import database, statement

__all__ = ["app"]


def _nothing(*_arguments: object) -> None: ...


for module, name in ((database, "observe_connection_wait"), (statement, "observe_statement")):
    setattr(module, name, _nothing)

_OBSERVERS: tuple[object, ...] = (RequestMetricsMiddleware, TraceMiddleware)

app = main.app
app.user_middleware = [each for each in app.user_middleware if each.cls not in _OBSERVERS]
