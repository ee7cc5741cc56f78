"""Runs wrk against a server, and measures throughput, latency and the CPU time of the server."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path

from deploy.bench.database import TASKS_PER_USER
from deploy.bench.variants import Server

__all__ = ["Sample", "measure", "write_script"]

_MAX_SECONDS_WITHOUT_RESPONSE = 60
# The script prints the results as JSON, because wrk rounds its own output.
_LUA = """
local tokens = {%s}
local route = "%s"
math.randomseed(os.time())
local function json(method, path, token, body, key)
  local headers = {["Authorization"] = token, ["Content-Type"] = "application/json", ["Idempotency-Key"] = key}
  return wrk.format(method, path, headers, body)
end
function request()
  local number = math.random(#tokens)
  local token = tokens[number]
  local user = number + %d
  local tasks = "/api/user-" .. user .. "/tasks"
  local one = tasks .. "/" .. ((user - 1) * %d + math.random(%d))
  local kind = route
  if kind == "mixed" then
    local dice = math.random(10)
    kind = dice <= 4 and "list" or dice <= 8 and "get" or dice == 9 and "create" or "complete"
  end
  if kind == "keyed" then
    if math.random(2) == 1 then return json("GET", one, token) end
    return json("POST", tasks, token, '{"title": "Buy milk"}', "key-" .. math.random(1e15))
  end
  if kind == "list" then return json("GET", tasks, token) end
  if kind == "search" then return json("GET", tasks .. "?search=oat+milk", token) end
  if kind == "get" then return json("GET", one, token) end
  if kind == "create" then return json("POST", tasks, token, '{"title": "Buy milk", "description": "Oat"}') end
  if kind == "patch" then return json("PATCH", one, token, '{"title": "Buy more milk"}') end
  return json("PATCH", one .. "/complete", token)
end
local pause = %d
if pause > 0 then
  function delay() return math.floor(-math.log(1 - math.random()) * pause) end
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('FIGURES {"requests": %%d, "bytes": %%d, "microseconds": %%d, "p50": %%d, "p99": %%d, "rejected": %%d, "lost": %%d}\\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True)
class Sample:
    """One measurement of a route.

    Attributes:
        cpu_microseconds: CPU time of the server per request.
        per_second: Responses per second, without rejections.
        p50_milliseconds: Median latency.
        p99_milliseconds: 99th percentile.
        rejected_per_second: Responses per second with a status from 400.
        requests: Number of responses.
        response_bytes: Mean size of a response with its header.
    """

    cpu_microseconds: float
    per_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    rejected_per_second: float = 0
    requests: int = 0
    response_bytes: float = 0


def write_script(
    folder: Path,
    name: str,
    route: str,
    tokens: list[str],
    *,
    first_user: int = 1,
    pause_milliseconds: float = 0,
) -> Path:
    """Write a script for wrk: requests of random users for random tasks of the user.

    Args:
        folder: Directory of the script.
        name: Prefix of the file name.
        route: One of `variants.ROUTES`, or `keyed`: single tasks, and creations with an Idempotency-Key.
        tokens: Tokens of consecutive users.
        first_user: Number of the user of the first token.
        pause_milliseconds: Mean of the random pauses of a client between requests.
    """
    path = folder / f"{name}-{route}.lua"
    quoted = ", ".join(f'"Bearer {token}"' for token in tokens)
    path.write_text(
        _LUA % (quoted, route, first_user - 1, TASKS_PER_USER, TASKS_PER_USER, round(pause_milliseconds))
    )
    return path


async def measure(
    server: Server, script: Path, *, seconds: int, connections: int = 32, may_reject: bool = False
) -> Sample:
    """Run wrk against a server for `seconds`, or longer until a request has ended: on a slow machine one can take a second.

    Raises:
        RuntimeError: wrk failed, no request ended within a minute, a connection was lost, or, without `may_reject`, a response has a status from 400.
    """
    before = server.cpu_seconds()
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)),
        f"http://127.0.0.1:{server.port}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    cpu_seconds = server.cpu_seconds() - before
    found = re.search(r"^FIGURES (.*)$", output, re.MULTILINE)
    if found is None:
        raise RuntimeError(output)
    figures = json.loads(found[1])
    if not figures["requests"] and not figures["lost"] and seconds < _MAX_SECONDS_WITHOUT_RESPONSE:
        return await measure(
            server, script, seconds=2 * seconds, connections=connections, may_reject=may_reject
        )
    rejected = figures["rejected"]
    if not figures["requests"] or figures["lost"] or (rejected and not may_reject):
        raise RuntimeError(f"{server.variant.name}, {script.stem}: {found[1]}")
    return Sample(
        cpu_seconds / figures["requests"] * 1e6,
        (figures["requests"] - rejected) / figures["microseconds"] * 1e6,
        figures["p50"] / 1000,
        figures["p99"] / 1000,
        rejected / figures["microseconds"] * 1e6,
        figures["requests"],
        figures["bytes"] / figures["requests"],
    )
