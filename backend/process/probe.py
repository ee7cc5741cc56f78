"""Asks this machine's service how it is; a health check for containers without curl or a shell."""

import os
import sys
import urllib.error
import urllib.request

__all__ = ["main"]

_TIMEOUT_SECONDS = 3.0


def main() -> None:
    """Exit with 0 where the service answers 200: `python -m backend.process.probe [path]`.

    The path (default /readyz) is asked on the ops port, or where there is none on the public one.
    """
    path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
    port = os.environ.get("OPS_PORT") or os.environ.get("PORT") or "8000"
    # An environment's proxy is for the outside, never for ourselves.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=_TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        raise SystemExit(f"probe: {path} answers {error.code}: {error.read(500).decode()}") from None
    except OSError as error:
        raise SystemExit(f"probe: {path} does not answer: {error}") from None


if __name__ == "__main__":
    main()
