"""Errors of the task domain; `api/errors.py` maps them to HTTP statuses."""

from backend.platform.errors import DomainError

__all__ = ["PathUserMismatch", "TaskNotFound", "UserNotRegistered"]


class PathUserMismatch(DomainError):
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
