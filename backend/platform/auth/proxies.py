"""Selects a proxy from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

httpx raises an unhandled exception for values that other programs accept, such as IPv6 networks in NO_PROXY.
"""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import httpx

from backend.platform.errors import ConfigurationError

__all__ = ["find_proxy"]


def find_proxy(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy for a URL, None for a direct connection. Loopback addresses never use a proxy.

    NO_PROXY lists host names (which match subdomains too), IP addresses, networks (CIDR) or `*`.

    Raises:
        ConfigurationError: The proxy's URL is invalid or its scheme is not http or https.
    """
    proxies = getproxies_environment()
    scheme = url.scheme if proxies.get(url.scheme) else "all"
    text = proxies.get(scheme)
    if not text or _is_direct(url.host, proxies):
        return None
    with suppress(httpx.InvalidURL, ValueError):
        address = text if "://" in text else f"http://{text}"
        proxy = httpx.Proxy(address)
        # httpx accepts an unclosed bracket as part of the host name.
        if proxy.url.scheme in {"http", "https"} and urlsplit(address).hostname:
            return proxy
    raise ConfigurationError(
        f"{scheme.upper()}_PROXY is not the URL of an HTTP proxy, such as http://proxy.example.com:3128, but the key set"
        f" must be fetched through it; correct it, or add {url.host} to NO_PROXY"
    )


def _is_direct(host: str, proxies: dict[str, str]) -> bool:
    if host == "localhost" or proxy_bypass(host, proxies):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or any(_contains(entry, address) for entry in proxies.get("no", "").split(","))


def _contains(entry: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        return address in ip_network(entry.strip().strip("[]"), strict=False)
    except ValueError:
        return False  # a host name
