"""Proxies of the environment are used if they are valid, and rejected with one sentence otherwise."""

import os

import httpx
import pytest

from backend.platform.auth.jwks_client import JWKSClient
from backend.platform.auth.proxies import find_proxy
from backend.platform.errors import ConfigurationError

URL = httpx.URL("https://auth.example.com/api/auth/jwks")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, URL, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, URL, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, URL, "http://proxy:3128"),
        ({"ALL_PROXY": "http://u:p@proxy:3128"}, URL, "http://proxy:3128"),
        ({"HTTP_PROXY": "socks://proxy:1080"}, URL, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "*"}, URL, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "a.test, .example.com"}, URL, None),
        ({"ALL_PROXY": "socks5h://proxy", "NO_PROXY": "fd00::/8,auth.example.com"}, URL, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "fd07:b51a:cc66::/64,[::1],%%%"}, URL, "http://proxy"),
        ({"HTTP_PROXY": "http://proxy", "NO_PROXY": "10.0.0.0/8"}, "http://10.1.2.3/jwks", None),
        ({"HTTP_PROXY": "http://proxy", "NO_PROXY": "fd00::/8"}, "http://[fd00::1]:3000/jwks", None),
        ({"HTTP_PROXY": "http://proxy"}, "http://localhost:3000/jwks", None),
        ({"HTTP_PROXY": "http://proxy"}, "http://127.0.0.1:3000/jwks", None),
    ],
)
def test_proxy_of_an_address(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: httpx.URL | str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = find_proxy(httpx.URL(url))
    assert (found.url if found else None) == (httpx.URL(proxy) if proxy else None)


@pytest.mark.parametrize(
    "value", ["socks5://u:hunter2@proxy:1080", "http://[hunter2", "://", "http://", "http://p:x"]
)
def test_invalid_proxy_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(ConfigurationError, match="ALL_PROXY is not the URL of an HTTP proxy") as refusal:
        JWKSClient(str(URL), timeout_seconds=1)
    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSLKEYLOGFILE"])
def test_unreadable_certificates_are_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/nowhere/file")
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE, SSL_CERT_DIR or SSLKEYLOGFILE"):
        JWKSClient(str(URL), timeout_seconds=1)
