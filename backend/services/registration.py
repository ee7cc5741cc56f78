"""Writes the `users` row of an owner on first use."""

from collections.abc import Awaitable, Callable

from backend.errors import UserNotRegistered
from backend.platform.errors import InvalidToken
from backend.services.repositories import UserRepositoryProtocol

__all__ = ["with_user_row"]


async def with_user_row[Result](
    users: UserRepositoryProtocol, user_id: str, write: Callable[[], Awaitable[Result]]
) -> Result:
    """Run a write that references the user's row. If that row is missing, insert it and run the write again.

    Args:
        users: The repository of `users`.
        user_id: The owner.
        write: The write; it inserts a row with a foreign key to `users`.

    Raises:
        InvalidToken: The frontend owns `users` and has no such user any more.
        UserNotRegistered: The row is missing and cannot be written.
    """
    try:
        return await write()
    except UserNotRegistered:
        # Either the first write of a user whose frontend has another database, or the token of a deleted user.
        if not await users.ensure_user(user_id):
            raise InvalidToken("The token's user does not exist.") from None
        return await write()
