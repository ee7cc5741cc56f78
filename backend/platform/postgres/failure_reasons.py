"""What an operator is told about a failure that stays until the setup is corrected."""

import ssl
from collections.abc import Mapping
from typing import Final

import asyncpg

__all__ = ["describe", "longest_match"]

_ADVICE: Final = {
    # By SQLSTATE or the beginning of one; the longest match counts.
    "": "see https://www.postgresql.org/docs/current/errcodes-appendix.html",
    "08P01": "check the database URL against the pooler's configuration",
    "0A": "the database lacks a feature that the service needs",
    "22023": "correct the settings that the database URL gives to the server",
    "22P05": "the service needs a database with the encoding UTF8",
    "26": "a pooler in transaction mode is in between: set DATABASE_POOLER=transaction",
    "28": "check user, password and sslmode of the database URL, and the server's pg_hba.conf",
    "3D": "create the database, or correct its name in the database URL",
    "3F": "create the schema and grant USAGE on it, or correct search_path",
    "42501": "grant the role what docs/operations.md lists",
    "42703": "the schema is not the one of this release: run `task-service migrate`",
    "42704": "correct the settings that the database URL gives to the server, or run `task-service migrate`",
    "42883": "the schema is not the one of this release: run `task-service migrate`",
    "42P01": "the schema is not the one of this release: run `task-service migrate`",
    "42P05": "a pooler in transaction mode is in between: set DATABASE_POOLER=transaction",
    "58P01": "install the extensions pg_trgm and btree_gin on the server",
    "XX000": "check the database URL",
}


def describe(error: BaseException) -> str:
    """Return the operator's sentence on a permanent failure: its cause and what to do. It has no secret."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        cause = " ".join((error.message or "").split())
        return f"{cause} (SQLSTATE {state or 'unknown'}): {longest_match(_ADVICE, state)}"
    if isinstance(error, OSError):
        return _describe_os_error(error)
    # The first line: what asyncpg adds to it is about its own arguments.
    return str(error).partition("\n")[0]


def longest_match[Value](table: Mapping[str, Value], state: str) -> Value:
    """Return the value of the longest key with which a SQLSTATE begins; "" must be one of them."""
    return next(table[state[:length]] for length in range(len(state), -1, -1) if state[:length] in table)


def _describe_os_error(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = getattr(error, "verify_message", "verification failed")
        return f"the server's TLS certificate is not accepted ({cause}): check host and sslrootcert"
    if isinstance(error, ssl.SSLError):
        cause = getattr(error, "reason", "no reason")
        return f"TLS with the database failed ({cause}): check sslmode, sslcert, sslkey and sslrootcert"
    if isinstance(error, PermissionError):
        return "permission denied: check the rights on the socket that the database URL names"
    return "the server does not offer TLS: turn it on there, or correct sslmode in the database URL"
