"""The commands of the development tools; each loads its implementation when it runs."""

from typing import Annotated

import typer

from backend.config import Settings, load_settings
from backend.devtools.duration import parse_duration
from backend.platform.errors import ConfigurationError

__all__ = ["app"]

app = typer.Typer()


@app.command()
def dev(
    port: Annotated[
        int | None, typer.Option(help="Port to listen on. Default: PORT, or a free one if it is taken.")
    ] = None,
    *,
    reload: Annotated[
        bool,
        typer.Option(
            "--reload", help="Restart when a file is saved; uses PORT and OPS_PORT, does not migrate."
        ),
    ] = False,
    debug_port: Annotated[
        int | None,
        typer.Option(
            envvar="DEBUG_PORT",
            min=1,
            max=65535,
            help="With --reload: port where a debugger may attach (debugpy).",
        ),
    ] = None,
) -> None:
    """Run the service for development: migrate, serve, and print a request to try. Ctrl-C ends everything."""
    from backend.devtools import dev_server  # noqa: PLC0415 - see the module's docstring

    settings = _development_settings("dev")
    if not reload:
        dev_server.serve(settings, port)
    elif port is not None:
        raise typer.BadParameter("--reload listens on PORT; set PORT instead of --port")
    else:
        dev_server.serve_with_reload(settings, debug_port)


@app.command()
def token(
    user: Annotated[str, typer.Option(help="The token's `sub`.")] = "developer",
    expires: Annotated[
        int, typer.Option(parser=parse_duration, metavar="TIME", help="Such as 3600, 15m, 1h or 7d.")
    ] = "1d",  # type: ignore[assignment]  # the parser's input
) -> None:
    """Print a development token."""
    from backend.devtools.development_token import make_token  # noqa: PLC0415 - see the module's docstring

    typer.echo(make_token(load_settings(), user, lifetime_seconds=expires))


@app.command()
def seed(
    users: Annotated[int, typer.Option(min=1, max=1000, help="Number of users.")] = 5,
    tasks: Annotated[int, typer.Option(min=0, max=10_000, help="Number of tasks of each user.")] = 200,
) -> None:
    """Fill the development database: alice, bob, carol, … A second run with the same numbers adds nothing."""
    from backend.devtools.seed import seed_database  # noqa: PLC0415 - see the module's docstring

    added = seed_database(_development_settings("seed"), users, tasks)
    typer.echo(f"{users} users with {tasks} tasks each; {added} tasks added")


@app.command()
def loadtest(
    url: Annotated[
        str, typer.Option(help="The service to load; only ever your own.")
    ] = "http://127.0.0.1:8000",
    duration: Annotated[
        int, typer.Option(parser=parse_duration, metavar="TIME", help="Duration, such as 60s.")
    ] = "60s",  # type: ignore[assignment]  # the parser's input
    clients: Annotated[int, typer.Option(min=1, max=500, help="Concurrent requests.")] = 8,
) -> None:
    """Send mixed traffic to a development service. Exit code 1 if any request failed."""
    from backend.devtools.loadtest import run  # noqa: PLC0415 - see the module's docstring

    if not run(load_settings(), url, duration_seconds=duration, clients=clients):
        raise typer.Exit(1)


def _development_settings(command: str) -> Settings:
    settings = load_settings()
    if settings.environment != "development":
        raise ConfigurationError(
            f"`task-service {command}` is for ENVIRONMENT=development; use `task-service serve` in production"
        )
    return settings
