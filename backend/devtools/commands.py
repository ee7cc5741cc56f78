"""Commands of the development tools. Each command imports its implementation when it runs."""

from typing import Annotated

import typer

from backend.config import Settings, load_settings
from backend.devtools.duration import parse_duration
from backend.platform.errors import ConfigurationError
from backend.platform.service_name import SERVICE_NAME

__all__ = ["app"]

app = typer.Typer()


@app.command()
def dev(
    port: Annotated[
        int | None, typer.Option(help="Port to listen on. Default: PORT, or a free port if it is in use.")
    ] = None,
    *,
    reload: Annotated[
        bool,
        typer.Option(
            "--reload", help="Restart when a file changes. Listens on PORT and OPS_PORT; does not migrate."
        ),
    ] = False,
    debug_port: Annotated[
        int | None,
        typer.Option(
            envvar="DEBUG_PORT",
            min=1,
            max=65535,
            help="With --reload: port that a debugger can attach to (debugpy).",
        ),
    ] = None,
) -> None:
    """Run the service for development: migrate, serve, and print a request to try. Ctrl-C stops it."""
    from backend.devtools import dev_server  # noqa: PLC0415 - see the module's docstring

    settings = _development_settings("dev")
    if not reload:
        dev_server.serve(settings, port)
    elif port is not None:
        raise typer.BadParameter("--reload listens on PORT; set the variable PORT instead of --port")
    else:
        dev_server.serve_with_reload(settings, debug_port)


@app.command()
def token(
    user: Annotated[str, typer.Option(help="`sub` claim of the token.")] = "developer",
    expires: Annotated[
        int,
        typer.Option(
            parser=parse_duration, metavar="TIME", help="Lifetime, such as 3600 (seconds), 15m, 1h or 7d."
        ),
    ] = "1d",  # type: ignore[assignment]  # text for the parser
) -> None:
    """Print a development token."""
    from backend.devtools.development_token import make_token  # noqa: PLC0415 - see the module's docstring

    typer.echo(make_token(load_settings(), user, lifetime_seconds=expires))


@app.command()
def seed(
    users: Annotated[int, typer.Option(min=1, max=1000, help="Number of users.")] = 5,
    tasks: Annotated[int, typer.Option(min=0, max=10_000, help="Number of tasks per user.")] = 200,
) -> None:
    """Add users (alice, bob, carol, …) and tasks to the development database. A second run adds nothing."""
    from backend.devtools.seed import seed_database  # noqa: PLC0415 - see the module's docstring

    added = seed_database(_development_settings("seed"), users, tasks)
    typer.echo(f"{users} users with {tasks} tasks each; {added} tasks added")


@app.command()
def loadtest(
    url: Annotated[str, typer.Option(help="Base URL of a development service.")] = "http://127.0.0.1:8000",
    duration: Annotated[
        int, typer.Option(parser=parse_duration, metavar="TIME", help="Duration, such as 60s.")
    ] = "60s",  # type: ignore[assignment]  # text for the parser
    clients: Annotated[int, typer.Option(min=1, max=500, help="Concurrent requests.")] = 8,
) -> None:
    """Send mixed traffic to a development service. Exits with 1 if a request failed."""
    settings = _development_settings("loadtest")
    from backend.devtools.loadtest import run  # noqa: PLC0415 - see the module's docstring; the image lacks its rich

    if not run(settings, url, duration_seconds=duration, clients=clients):
        raise typer.Exit(1)


def _development_settings(command: str) -> Settings:
    settings = load_settings()
    if settings.environment != "development":
        raise ConfigurationError(
            f"`{SERVICE_NAME} {command}` needs ENVIRONMENT=development; use `{SERVICE_NAME} serve` in production"
        )
    return settings
