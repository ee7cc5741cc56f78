"""Errors that every service of this kind has; `platform/http/problem_details.py` maps them to HTTP statuses."""

import sys
from typing import NamedTuple, NoReturn

from backend.platform.service_name import SERVICE_NAME

__all__ = [
    "ConcurrentUpdate",
    "ConfigurationError",
    "DatabaseMisconfigured",
    "DatabaseTimeout",
    "DatabaseUnavailable",
    "DomainError",
    "IdempotencyKeyInProgress",
    "IdempotencyKeyReused",
    "InvalidInput",
    "InvalidToken",
    "InvalidValue",
    "PathUserMismatch",
    "PreconditionFailed",
    "ResourceNotFound",
    "SigningKeysUnavailable",
    "exit_with",
]


class ConfigurationError(Exception):
    """The service cannot start with these settings; the text names the variable and the remedy."""


def exit_with(error: ConfigurationError) -> NoReturn:
    """Print the sentence and end with exit code 2, where no caller could handle the error."""
    print(f"{SERVICE_NAME}: {error}", file=sys.stderr)  # noqa: T201 - before logging is configured
    raise SystemExit(2)


class InvalidValue(NamedTuple):
    """One thing that is wrong with the input.

    `pointer` is a JSON pointer into the body (RFC 6901) or names the place outside it,
    such as `query/limit`; `detail` says what is expected.
    """

    pointer: str
    detail: str


class DomainError(Exception):
    """Base of every error that a caller is told about.

    Args:
        detail: One sentence for the caller. It never holds a secret, a token or a task's text.
    """

    code: str
    """Stable identifier, the tail of the problem's `type`."""

    title: str
    """The same short summary for every occurrence of this error."""

    errors: tuple[InvalidValue, ...] = ()
    """The parts of the input that caused it, where the input has several that could."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidToken(DomainError):
    """No token, or one that does not verify, or one whose user was deleted. Which check failed is told in general words only."""

    code = "invalid-token"
    title = "Authentication required"


class SigningKeysUnavailable(DomainError):
    """No signing key could be fetched yet, so no token can be checked."""

    code = "signing-keys-unavailable"
    title = "Signing keys unavailable"


class PathUserMismatch(DomainError):
    """The path names another user than the token does."""

    code = "not-owner"
    title = "Not your data"


class ResourceNotFound(DomainError):
    """The user has no such resource; another user's resource is the same to the caller.

    Args:
        resource: What it is, in the singular, such as `task`.
        number: Its id.
    """

    def __init__(self, resource: str, number: int) -> None:
        super().__init__(f"You have no {resource} {number}.")
        self.code = f"{resource}-not-found"
        self.title = f"{resource.capitalize()} not found"


class PreconditionFailed(DomainError):
    """The task is no longer the version that the caller asked for (RFC 9110 §13)."""

    code = "precondition-failed"
    title = "Precondition failed"


class InvalidInput(DomainError):
    """The input breaks a rule of the contract.

    Args:
        errors: What is wrong, at least one.
    """

    code = "invalid-input"
    title = "Invalid input"

    def __init__(self, *errors: InvalidValue) -> None:
        super().__init__("; ".join(f"{error.pointer}: {error.detail}" for error in errors))
        self.errors = errors


class IdempotencyKeyReused(DomainError):
    """The Idempotency-Key was used with another request (draft-ietf-httpapi-idempotency-key-header)."""

    code = "idempotency-key-reused"
    title = "Idempotency-Key reused"


class IdempotencyKeyInProgress(DomainError):
    """The first request with this Idempotency-Key has not ended yet."""

    code = "idempotency-key-in-progress"
    title = "Request in progress"


class ConcurrentUpdate(DomainError):
    """The database refused the statement twice because of concurrent ones (deadlock, serialization)."""

    code = "concurrent-update"
    title = "Concurrent update"


class DatabaseUnavailable(DomainError):
    """The database is unreachable or full, no connection became free in time, or a commit is not replicated."""

    code = "database-unavailable"
    title = "Database unavailable"


class DatabaseTimeout(DomainError):
    """The database did not finish the statement in the time allowed.

    It was rolled back, unless its commit waits for a synchronous standby or its connection is silent.
    """

    code = "database-timeout"
    title = "Database timeout"


class DatabaseMisconfigured(DomainError):
    """The database refuses the service until an operator changes the setup: role, grants, database, schema.

    Args:
        reason: The cause and what to do, for the log and the probes. A client does not get it.
    """

    code = "database-misconfigured"
    title = "Database misconfigured"

    def __init__(self, reason: str) -> None:
        super().__init__(
            "The service's database is not set up correctly. To repeat the request does not help;"
            " the request_id leads the operator to the cause in the log."
        )
        self.reason = reason
