"""Every form of HOST can be listened on and called at the URL that is shown, or is rejected in one sentence."""

import asyncio
import socket

import pytest

from backend.platform.errors import ConfigurationError
from backend.platform.server.listener import (
    PortTaken,
    check_address,
    gunicorn_bind,
    local_host,
    local_url,
    open_listener,
)
from tests.support.waiting import scaled
from tests.support.workers import free_port

HOSTS = ["127.0.0.1", "0.0.0.0", "::1", "::", "localhost", "127.1"]  # noqa: S104 - under test


@pytest.mark.parametrize("host", HOSTS)
def test_client_reaches_the_listener_of_each_form_of_host(host: str) -> None:
    with open_listener(host, 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection((local_host(host), port), timeout=scaled(5)).close()
        assert local_url(host, port).endswith(f":{port}")


def test_unspecified_ipv6_address_accepts_ipv4() -> None:
    with open_listener("::", 0) as listener:
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=scaled(5)).close()


@pytest.mark.parametrize(
    ("host", "bind"),
    [("::", "[::]:80"), ("0.0.0.0", "0.0.0.0:80"), ("::1", "[::1]:80"), ("127.1", "127.0.0.1:80")],  # noqa: S104
)
def test_gunicorn_gets_numeric_addresses(host: str, bind: str) -> None:
    assert gunicorn_bind(host, 80) == bind


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("192.0.2.1", "HOST: 192.0.2.1 cannot be listened on"),
        ("2001:db8::1", "HOST: 2001:db8::1 cannot be listened on"),
        ("nowhere.invalid", "HOST: 'nowhere.invalid' cannot be resolved"),
        ("x" * 70, "cannot be resolved"),
    ],
)
def test_address_of_another_machine_is_a_configuration_error(host: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        check_address(host, free_port())
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


async def test_taken_port_is_reported_and_the_check_accepts_no_client() -> None:
    port = free_port()
    check_address("127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    with (
        open_listener("127.0.0.1", port),
        pytest.raises(PortTaken, match=f"port {port} of 127.0.0.1 is taken"),
    ):
        check_address("127.0.0.1", port)
