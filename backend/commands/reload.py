"""`task-service reload`: serve, and begin anew whenever the code changes."""

import socket
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from uvicorn.supervisors import ChangeReload

from backend.auth.tokens import TokenVerifier
from backend.config import ConfigurationError, load_settings
from backend.db.address import check_addresses
from backend.db.embedded import running_embedded_postgres
from backend.observability.logging import configure_logging
from backend.process.listener import open_listener
from backend.process.protocol import BoundedHttpProtocol

__all__ = ["reload"]

_PACKAGE = Path(__file__).parents[1]
_LAST_REQUESTS_SECONDS = 2


def reload(
    debug_port: Annotated[
        int | None,
        typer.Option(envvar="DEBUG_PORT", min=1, max=65535, help="Where a debugger may attach (debugpy)."),
    ] = None,
) -> None:
    """Serve for development on both ports, and begin anew whenever a file of the service is saved.

    One process and no Gunicorn; the ports stay open meanwhile, so a request waits and is not refused.
    """
    settings = load_settings()
    if settings.environment != "development":
        raise ConfigurationError(
            "`task-service reload` is for ENVIRONMENT=development; use `task-service serve`"
        )
    check_addresses(settings)
    configure_logging(settings)
    config = uvicorn.Config(
        "backend.main:app",
        reload=True,
        reload_dirs=[str(_PACKAGE)],
        http=BoundedHttpProtocol,
        ws="none",
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
    )
    ports = [settings.port] if settings.ops_port is None else [settings.port, settings.ops_port]
    sockets = [open_listener(settings.host, port) for port in ports]
    TokenVerifier(settings)  # impossible settings are seen here: the child that serves ends by itself
    with running_embedded_postgres(settings.data_dir) if settings.uses_embedded_database else nullcontext():
        ChangeReload(config, target=partial(_serve, config, settings.host, debug_port), sockets=sockets).run()


def _serve(config: uvicorn.Config, host: str, debug_port: int | None, sockets: list[socket.socket]) -> None:
    if debug_port is not None:
        import debugpy  # noqa: PLC0415, T100 - only where it is asked for; the image that serves has none

        debugpy.listen((host, debug_port))  # noqa: T100 - asked for
    uvicorn.Server(config).run(sockets)
