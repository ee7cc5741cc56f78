"""The whole service, run as ever, without metrics of requests and statements, access log and traces."""

from backend import main
from backend.api.middleware.measure import MeasureMiddleware
from backend.api.middleware.tracing import TraceMiddleware
from backend.db import database, statement

__all__ = ["app"]


def _nothing(*_arguments: object) -> None: ...


for module, name in ((database, "observe_connection_wait"), (statement, "observe_statement")):
    setattr(module, name, _nothing)

_OBSERVERS: tuple[object, ...] = (MeasureMiddleware, TraceMiddleware)

app = main.app
app.user_middleware = [each for each in app.user_middleware if each.cls not in _OBSERVERS]
