"""Errors of this service; `api/errors.py` maps them to HTTP statuses."""

from backend.platform.errors import DomainError

__all__ = ["UserNotRegistered"]


class UserNotRegistered(DomainError):
    """The token is valid, but `users` has no row of its user and none can be written."""

    code = "user-not-registered"
    title = "User not registered"
