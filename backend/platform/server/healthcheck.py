"""Checks the health of the local service, in containers without curl or a shell."""

import http.client
import sys

from backend.platform.errors import ConfigurationError
from backend.platform.server.listener import local_host
from backend.platform.settings.environment import DEFAULT_HOST, DEFAULT_PORT, parse_port, read_variables

__all__ = ["main"]

_TIMEOUT_SECONDS = 3.0


def main() -> None:
    """Exit with 0 if the service responds with 200: `python -m backend.platform.server.healthcheck [path]`.

    The request for the path (default /readyz) goes to the ops port, or to the public port if there is no ops port, of
    the address that the service listens on. It never uses a proxy, which could reach another machine.
    """
    path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
    try:
        host, port = _address()
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(500).decode(errors="replace")
    except ConfigurationError as error:
        raise SystemExit(f"healthcheck: {error}") from None
    except (OSError, http.client.HTTPException) as error:
        raise SystemExit(f"healthcheck: {path} does not respond: {error}") from None
    if response.status != http.client.OK:
        raise SystemExit(f"healthcheck: {path} responds with {response.status}: {body}")


def _address() -> tuple[str, int]:
    variables = read_variables(("host", "port", "ops_port"))
    name = "ops_port" if "ops_port" in variables else "port"
    try:
        port = parse_port(variables.get(name, str(DEFAULT_PORT)))
    except ValueError as error:
        raise ConfigurationError(f"{name.upper()}: {error}") from None
    if port == 0:
        raise ConfigurationError("PORT=0 takes any free port, so the port is not known; set PORT or OPS_PORT")
    host = variables.get("host", DEFAULT_HOST).removeprefix("[").removesuffix("]")
    return local_host(host), port


if __name__ == "__main__":
    main()
