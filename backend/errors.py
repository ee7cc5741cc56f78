"""What can go wrong, in the domain's words; `api/problems.py` alone gives these an HTTP status."""

from typing import ClassVar, NamedTuple

__all__ = [
    "ConcurrentUpdate",
    "DatabaseMisconfigured",
    "DatabaseTimeout",
    "DatabaseUnavailable",
    "DomainError",
    "IdempotencyKeyInProgress",
    "IdempotencyKeyReused",
    "InvalidInput",
    "InvalidToken",
    "InvalidValue",
    "NotOwner",
    "PreconditionFailed",
    "SigningKeysUnavailable",
    "TaskNotFound",
    "UserNotRegistered",
]


class DomainError(Exception):
    """Base of every error that a caller is told about.

    Args:
        detail: One sentence for the caller. It never holds a secret, a token or a task's text.
    """

    code: ClassVar[str]
    """Stable identifier, the tail of the problem's `type`."""

    title: ClassVar[str]
    """The same short summary for every occurrence of this error."""

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


class NotOwner(DomainError):
    """The path names another user than the token does."""

    code = "not-owner"
    title = "Not your tasks"


class TaskNotFound(DomainError):
    """No such task of this user; a task of another user is the same to the caller."""

    code = "task-not-found"
    title = "Task not found"


class UserNotRegistered(DomainError):
    """The token is good, but its user is not in `users` and cannot be written there."""

    code = "user-not-registered"
    title = "User not registered"


class PreconditionFailed(DomainError):
    """The task is no longer the version that the caller asked for (RFC 9110 §13)."""

    code = "precondition-failed"
    title = "Precondition failed"


class InvalidValue(NamedTuple):
    """One thing that is wrong with the input.

    `pointer` is a JSON pointer into the body (RFC 6901) or names the place outside it,
    such as `query/limit`; `detail` says what is expected.
    """

    pointer: str
    detail: str


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
    """The database is away, full, or has no connection free in time. Nothing was written."""

    code = "database-unavailable"
    title = "Database unavailable"


class DatabaseTimeout(DomainError):
    """The database did not finish the statement in the time allowed; it was rolled back."""

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
