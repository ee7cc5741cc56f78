"""Checks the health of the service on this machine; for containers without curl or a shell."""

import http.client
import sys

from backend.platform.errors import ConfigurationError
from backend.platform.server.listener import local_host
from backend.platform.settings.environment import DEFAULT_HOST, DEFAULT_PORT, parse_port, read_variables

__all__ = ["main"]

_TIMEOUT_SECONDS = 3.0


def main() -> None:
    """Exit with 0 where the service answers 200: `python -m backend.platform.server.healthcheck [path]`.

    The path (default /readyz) is asked on the ops port, or where there is none on the public one, of the
    address that the service listens on. Never through a proxy: a proxy leads away from this machine.
    """
    path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
    try:
        host, port = _address()
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(500).decode(errors="replace")
    except ConfigurationError as error:
        raise SystemExit(f"healthcheck: {error}") from None
    except (OSError, http.client.HTTPException) as error:
        raise SystemExit(f"healthcheck: {path} does not answer: {error}") from None
    if answer.status != http.client.OK:
        raise SystemExit(f"healthcheck: {path} answers {answer.status}: {body}")


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
