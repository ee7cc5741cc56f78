"""Each type of setting accepts and normalizes valid values, and rejects others."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from backend.platform.settings.types import (
    CommaSeparated,
    Host,
    HttpUrl,
    Networks,
    Origins,
    Port,
    mask_url,
    with_mapped_ipv4,
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        # RFC 6454 §6.2: what a browser sends.
        (Origins, "https://App.Example.com", ("https://app.example.com",)),
        (Origins, "HTTPS://app.example.com:443/", ("https://app.example.com",)),
        (Origins, "http://app.example.com:80", ("http://app.example.com",)),
        (Origins, "https://app.example.com:80", ("https://app.example.com:80",)),
        (Origins, "https://münchen.example", ("https://xn--mnchen-3ya.example",)),
        (Origins, "http://[0:0:0:0:0:0:0:1]:3000", ("http://[::1]:3000",)),
        (Origins, " https://a.example , https://b.example ,", ("https://a.example", "https://b.example")),
        (CommaSeparated, "a, b ,,c", ("a", "b", "c")),
        (CommaSeparated, "http://[::1]:3000", ("http://[::1]:3000",)),
        (Networks, "10.0.0.0/8,::1,127.0.0.1", ("10.0.0.0/8", "::1", "127.0.0.1")),
        (Networks, "*", ("*",)),
        (HttpUrl, "https://App.Example.com", "https://app.example.com"),
        (HttpUrl, "https://app.example.com/auth/", "https://app.example.com/auth/"),
        (HttpUrl, "http://user:p%40ss@[::1]:3000/jwks?x=1", "http://user:p%40ss@[::1]:3000/jwks?x=1"),
        (HttpUrl, "http://my_frontend:3000", "http://my_frontend:3000"),
        (Host, "::", "::"),
        (Host, "[::1]", "::1"),
        (Host, "0.0.0.0", "0.0.0.0"),  # noqa: S104 - it is only parsed
        (Host, "localhost", "localhost"),
        (Host, "api.internal-1", "api.internal-1"),
        (Port, "8000", 8000),
    ],
)
def test_accepted(kind: Any, text: str, value: object) -> None:
    assert TypeAdapter(kind).validate_python(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Origins, text) for text in ("*", "https://*.example.com", "null", "app.example.com", "https://")),
        *(
            (Origins, text)
            for text in ("https://a.example/path", "https://a.example?q", "https://a.example#f")
        ),
        *(
            (Origins, text)
            for text in ("https://user@a.example", "https://a.example:99999", "ftp://a.example")
        ),
        *((Origins, text) for text in ('["https://a.example"]', "https://a.example https://b.example", ",")),
        *(
            (Origins, text)
            for text in ("https:\\\\a.example", "https://a.example;https://b.example", "https://%61")
        ),
        *((CommaSeparated, text) for text in ('["a"]', '{"a": 1}', "a b", "'a','b'", " , ", "a;b")),
        *(
            (Networks, text)
            for text in ("10.0.0.1/8", "proxy", "10.0.0", "10.0.0.0/33", "[::1]", "1.2.3.4:80")
        ),
        *(
            (HttpUrl, text)
            for text in ("a.example", "ftp://a", "http://", "http://a:0", "http://a:b", "http://a b")
        ),
        *(
            (HttpUrl, text)
            for text in ("http://a/#f", "http://a\\b", "http://u:p/w@a", "http://[::1", "http://*.a")
        ),
        *(
            (Host, text)
            for text in ("http://a", "a:80", "1.2.3.4:80", "[a]", "*", "a/b", "fe80::1%eth0", "-a")
        ),
        *((Port, text) for text in ("-1", "65536", "8000.0", "8_000", "٣", "", "9" * 5000)),
    ],
)
def test_refused(kind: Any, text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://user:hunter2@host/path", "https://***@host/path"),
        ("https://hunter2@host", "https://***@host"),
        ("https://user:hun/te#r2@host", "https://***@host"),
        ("https://user:hunt@er2@host/path", "https://***@host/path"),
        ("GET https://host/jwks?key=hunter2 failed", "GET https://host/jwks?*** failed"),
        ("https://host:3000/path", "https://host:3000/path"),
        ("no URL at all?", "no URL at all?"),
    ],
)
def test_credentials_in_urls_are_masked(text: str, masked: str) -> None:
    assert mask_url(text) == masked


def test_a_dual_stack_socket_sees_ipv4_networks_in_their_mapped_form() -> None:
    assert with_mapped_ipv4(("10.0.0.0/8", "::1", "*")) == ("10.0.0.0/8", "::1", "*", "::ffff:10.0.0.0/104")
