"""nginx and HAProxy from Debian, in front of a service, with a log of what each forwarded."""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.waiting import poll_until
from tests.support.workers import free_port

__all__ = ["PROXIES", "Forwarded", "ReverseProxy", "run_program", "run_reverse_proxy"]

_NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error;
events {{ worker_connections 256; }}
http {{
  log_format requests escape=json '{{"method": "$request_method", "target": "$request_uri",'
    ' "authorization": "$http_authorization", "upstream": "$upstream_addr", "status": $status}}';
  access_log {folder}/log requests;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  upstream service {{ server 127.0.0.1:{service}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://service; {snippet} }}
  }}
}}
"""
_WEBSOCKET = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection {connection};"

_HAPROXY = """
global
  log stdout format raw local0
defaults
  mode http
  log global
  option http-keep-alive
  timeout connect 10s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend all
  bind 127.0.0.1:{port}
  http-request capture req.hdr(authorization) len 1000
  log-format "{{\\"method\\": \\"%HM\\", \\"target\\": \\"%HU\\", \\"authorization\\": \\"%[capture.req.hdr(0)]\\", \\"upstream\\": \\"%s\\", \\"status\\": %ST}}"
  default_backend service
backend service
  server one 127.0.0.1:{service}
"""

PROXIES = ("nginx", "nginx with upgrade", "nginx with its map", "haproxy")
_SNIPPETS = {
    "nginx": "",
    "nginx with upgrade": _WEBSOCKET.format(connection='"upgrade"'),
    "nginx with its map": _WEBSOCKET.format(connection="$connection_upgrade"),
    "nginx that compresses": "gzip on; gzip_types application/json; gzip_min_length 1; gzip_proxied any;"
    " proxy_http_version 1.1;",
}


@dataclass(frozen=True)
class Forwarded:
    """A request that a proxy sent to the service, and the status that it got for it."""

    method: str
    target: str
    authorization: str
    status: int


@dataclass(frozen=True)
class ReverseProxy:
    """A running proxy.

    Attributes:
        url: Where it listens.
        log: Its access log, a line for each request.
    """

    url: str
    log: Path

    def forwarded(self) -> list[Forwarded]:
        """Return what it has sent to the service so far."""
        lines = [
            json.loads(line) for line in self.log.read_text().splitlines() if line.startswith('{"method"')
        ]
        return [
            Forwarded(line["method"], line["target"], line["authorization"].removeprefix("-"), line["status"])
            for line in lines
            if line["upstream"] not in {"", "-", "<NOSRV>"}
        ]


@contextlib.asynccontextmanager
async def run_reverse_proxy(
    kind: str, folder: Path, service_port: int, *, port: int = 0
) -> AsyncIterator[ReverseProxy]:
    """Run one of `PROXIES` until the block ends.

    Args:
        kind: Which, or "nginx that compresses".
        folder: For its configuration and logs.
        service_port: On 127.0.0.1.
        port: Of the proxy; 0 selects a free one.
    """
    name = kind.partition(" ")[0]
    port = port or free_port()
    values = {"folder": folder, "port": port, "service": service_port, "snippet": _SNIPPETS.get(kind, "")}
    configuration = (_NGINX if name == "nginx" else _HAPROXY).format(**values)
    async with run_program(name, configuration, folder, port):
        yield ReverseProxy(f"http://127.0.0.1:{port}", folder / ("log" if name == "nginx" else "output"))


@contextlib.asynccontextmanager
async def run_program(name: str, configuration: str, folder: Path, port: int) -> AsyncIterator[None]:
    """Run nginx or HAProxy until the block ends, its output in the file `output`.

    Args:
        name: `nginx` or `haproxy`.
        configuration: The content of its file.
        folder: For its files.
        port: Where it listens according to its configuration.
    """
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None:
        reason = f"{name} is not installed (apt-get install {'nginx-light' if name == 'nginx' else name})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    file = folder / "configuration"
    file.write_text(configuration)
    arguments = ("-c", file, "-e", folder / "error") if name == "nginx" else ("-db", "-f", file)
    with (folder / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(program, *arguments, stdout=output, stderr=output)
    try:
        await _until_listening(process, port)
        yield
    finally:
        process.kill()
        await process.wait()


async def _until_listening(process: asyncio.subprocess.Process, port: int) -> None:
    async def listens() -> bool:
        assert process.returncode is None, "its output is in the test's folder"
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True

    await poll_until(listens, 60, what="the proxy listens", retried=(ConnectionError,))
