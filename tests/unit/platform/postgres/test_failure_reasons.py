"""Sentences for operators: cause and remedy of permanent failures."""

import ssl

import asyncpg
import pytest

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.failure_reasons import describe, longest_match


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = "Hostname mismatch"
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            certificate_error(),
            "the TLS certificate of the server is not accepted (Hostname mismatch): check host",
        ),
        (ssl.SSLError(1, "x"), "TLS with the database failed (no reason): check sslmode"),
        (PermissionError(13, "x"), "permission denied: check the permissions of the Unix socket"),
        (ConnectionError("x"), "the server does not support TLS: enable it there, or correct sslmode"),
        (ConfigurationError("The first line.\nAnd more."), "The first line."),
    ],
)
def test_error_of_the_client_has_a_remedy(error: Exception, sentence: str) -> None:
    assert describe(error).startswith(sentence)
    assert "\n" not in describe(error)


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("3D000", "create the database"),
        ("28P01", "check user, password and sslmode"),
        ("42501", "grant the role the privileges"),
        ("42P01", "run `task-service migrate`"),
        ("42P05", "set DATABASE_POOLER=transaction"),
        ("99999", "see https://www.postgresql.org"),
    ],
)
def test_error_of_the_server_has_the_remedy_of_its_sqlstate(state: str, remedy: str) -> None:
    error = asyncpg.PostgresError.new({"C": state, "M": "one\n  two"})
    assert describe(error).startswith(f"one two (SQLSTATE {state}): ")
    assert remedy in describe(error)


@pytest.mark.parametrize(
    ("state", "found"), [("42501", "all"), ("42P01", "class"), ("22023", "default"), ("", "default")]
)
def test_longest_prefix_applies(state: str, found: str) -> None:
    assert longest_match({"": "default", "42": "class", "42501": "all"}, state) == found
