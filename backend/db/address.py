"""From a PostgreSQL URL as providers hand it out to the arguments that asyncpg takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from backend.config import ConfigurationError

__all__ = ["DatabaseAddress", "parse_address"]

_SCHEMES: Final = {"postgres", "postgresql", "postgresql+asyncpg"}
_POOLER_MARK: Final = "-pooler"
# asyncpg hands what it does not know to the server as a setting, and the server refuses these:
# libpq negotiates them itself, and the last two are other clients' own.
_NOT_FOR_THE_SERVER: Final = {
    "channel_binding",
    "gssencmode",
    "keepalives",
    "connect_timeout",
    "pgbouncer",
    "schema",
}


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """How to connect.

    Attributes:
        arguments: Keyword arguments of `asyncpg.connect`.
        transaction_pooler: A pooler in transaction mode stands before the server, so neither
            session state nor prepared statements outlive a transaction.
    """

    arguments: Mapping[str, Any]
    transaction_pooler: bool


def parse_address(
    url: str, *, pooler: Literal["auto", "none", "session", "transaction"] = "auto"
) -> DatabaseAddress:
    """Read a URL such as Neon's: `postgres://user:password@host/database?sslmode=require&channel_binding=require`.

    The rest is asyncpg's to read: `sslmode` and certificates, several hosts, Unix sockets
    (`host=/directory`), `options`.

    Args:
        url: The URL.
        pooler: Which pooler is between; `auto` takes a `-pooler` host for one in transaction mode.

    Raises:
        ConfigurationError: It is not such a URL. The text never has the password.
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        host = f"{parts.netloc.rpartition('@')[2]} {dict(query).get('host', '')}".strip()
    except ValueError:
        raise ConfigurationError(
            "DATABASE_URL cannot be read; percent-encode special characters in user and password"
        ) from None
    if parts.scheme not in _SCHEMES or not host:
        raise ConfigurationError("DATABASE_URL must look like postgresql://user:password@host/database")
    kept = [(name, value) for name, value in query if name not in _NOT_FOR_THE_SERVER]
    arguments: dict[str, Any] = {"dsn": parts._replace(scheme="postgresql", query=urlencode(kept)).geturl()}
    if (seconds := dict(query).get("connect_timeout", "")).isdigit():
        arguments["timeout"] = float(seconds)
    is_pooler = pooler == "transaction" or (pooler == "auto" and _POOLER_MARK in host)
    return DatabaseAddress(arguments, is_pooler)
