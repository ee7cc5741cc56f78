"""Request dependencies of every resource: the owner, the service, preconditions and the Idempotency-Key."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Path, Request

from backend.platform.auth.principal import Principal
from backend.platform.concurrency.precondition import Precondition
from backend.platform.errors import InvalidInput, InvalidValue, PathUserMismatch
from backend.platform.http.conditional_requests import parse_preconditions

__all__ = ["IdempotencyKeyDep", "OwnerDep", "PreconditionDep", "owner", "service"]

_IDEMPOTENCY_KEY = re.compile(r'"([!#-~]{1,255})"|([!#-~]{1,255})')


async def owner(
    user_id: Annotated[str, Path(description="The owner of the data: the token's `sub`.")], request: Request
) -> Principal:
    """Return the caller. It must be the user in the path. Runs before every database access."""
    principal: Principal = request.scope["state"]["principal"]
    if principal.user_id != user_id:
        raise PathUserMismatch("The path names another user than your token does.")
    return principal


OwnerDep = Annotated[Principal, Depends(owner)]


async def _precondition(request: Request) -> Precondition:
    """Return the precondition of `If-Match` and `If-None-Match`."""
    return parse_preconditions(request.scope)


PreconditionDep = Annotated[Precondition, Depends(_precondition)]


async def _idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key, with or without the quotes of a structured string (RFC 8941 §3.3.3)."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    match = _IDEMPOTENCY_KEY.fullmatch(keys[0].strip())
    if len(keys) > 1 or match is None:
        raise InvalidInput(
            InvalidValue(
                "/header/idempotency-key",
                "must be one text of 1 to 255 printable ASCII characters, without spaces and quotes",
            )
        )
    return match[1] or match[2]


IdempotencyKeyDep = Annotated[str | None, Depends(_idempotency_key)]


def service(name: str) -> Callable[[Request], Awaitable[Any]]:
    """Return a dependency on a service of the worker.

    The dependency first runs the fault injection, which exists in development only.

    Args:
        name: Attribute of `app.state` that contains the service.
    """

    async def read(request: Request) -> Any:
        state = request.scope["app"].state
        if state.inject_fault is not None:
            await state.inject_fault()
        return getattr(state, name)

    return read
