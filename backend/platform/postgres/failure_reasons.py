"""Messages for operators about permanent database failures: cause and remedy."""

import ssl
from collections.abc import Mapping
from typing import Final

import asyncpg

from backend.platform.service_name import SERVICE_NAME

__all__ = ["describe", "longest_match"]

_ANOTHER_SCHEMA: Final = f"the schema is not that of this release: run `{SERVICE_NAME} migrate`"
_ADVICE: Final = {
    # By SQLSTATE prefix; the longest match applies.
    "": "see https://www.postgresql.org/docs/current/errcodes-appendix.html",
    "08P01": "check the database URL against the pooler's configuration",
    "0A": "the database lacks a feature that the service needs",
    "22023": "correct the run-time settings in the database URL",
    "22P05": "the service needs a database with the encoding UTF8",
    "26": "the database URL leads to a pooler in transaction mode: set DATABASE_POOLER=transaction",
    "28": "check user, password and sslmode of the database URL, and pg_hba.conf of the server",
    "3D": "create the database, or correct its name in the database URL",
    "3F": "create the schema and grant USAGE on it, or correct search_path",
    "42501": "grant the role the privileges that docs/operations.md lists",
    "42703": _ANOTHER_SCHEMA,
    "42704": f"correct the run-time settings in the database URL, or run `{SERVICE_NAME} migrate`",
    "42883": _ANOTHER_SCHEMA,
    "42P01": _ANOTHER_SCHEMA,
    "42P05": "the database URL leads to a pooler in transaction mode: set DATABASE_POOLER=transaction",
    "58P01": "install the extensions pg_trgm and btree_gin on the server",
    "SPQR": "check DATABASE_POOLER, and the distributions of the router of shards",
    "XX000": "check the database URL",
}


def describe(error: BaseException) -> str:
    """Return cause and remedy of a permanent failure, without secrets."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        cause = " ".join((error.message or "").split())
        return f"{cause} (SQLSTATE {state or 'unknown'}): {longest_match(_ADVICE, state)}"
    if isinstance(error, OSError):
        return _describe_os_error(error)
    # asyncpg adds lines about its own arguments.
    return str(error).partition("\n")[0]


def longest_match[Value](table: Mapping[str, Value], state: str) -> Value:
    """Return the value of the longest key that is a prefix of a SQLSTATE. The table must contain ""."""
    return next(table[state[:length]] for length in range(len(state), -1, -1) if state[:length] in table)


def _describe_os_error(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = getattr(error, "verify_message", "verification failed")
        return f"the TLS certificate of the server is not accepted ({cause}): check host and sslrootcert"
    if isinstance(error, ssl.SSLError):
        cause = getattr(error, "reason", "no reason")
        return f"TLS with the database failed ({cause}): check sslmode, sslcert, sslkey and sslrootcert"
    if isinstance(error, PermissionError):
        return "permission denied: check the permissions of the Unix socket in the database URL"
    return "the server does not support TLS: enable it there, or correct sslmode in the database URL"
