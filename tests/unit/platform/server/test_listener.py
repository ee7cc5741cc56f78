"""Addresses: the URL for a local client, and the sentence for each error of the operating system."""

import errno

import pytest

from backend.platform.errors import ConfigurationError
from backend.platform.server.listener import PortTaken, _configuration_error, local_host, local_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::", "http://[::1]:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),  # noqa: S104 - under test
        ("::1", "http://[::1]:1"),
        ("192.0.2.1", "http://192.0.2.1:1"),
        ("a.b", "http://a.b:1"),
        ("127.1", "http://127.1:1"),
    ],
)
def test_url_for_a_client_on_this_machine(host: str, url: str) -> None:
    assert local_url(host, 1) == url
    assert local_host(host) == url.removeprefix("http://").removesuffix(":1").strip("[]")


@pytest.mark.parametrize(
    ("number", "kind", "sentence"),
    [
        (errno.EADDRINUSE, PortTaken, "port 80 of ::1 is taken; stop what listens there"),
        (
            errno.EACCES,
            ConfigurationError,
            "port 80 is not allowed for this user; set PORT to one above 1023",
        ),
        (errno.EPERM, ConfigurationError, "port 80 is not allowed for this user"),
        (errno.EADDRNOTAVAIL, ConfigurationError, "HOST: ::1 cannot be listened on (Cannot assign"),
        (None, ConfigurationError, "HOST: ::1 cannot be listened on (something else)"),
    ],
)
def test_error_names_the_cause_and_the_remedy(
    number: int | None, kind: type[ConfigurationError], sentence: str
) -> None:
    error = OSError("something else") if number is None else OSError(number, "text of the platform")
    found = _configuration_error(error, "::1", 80)
    assert type(found) is kind
    assert str(found).startswith(sentence)
