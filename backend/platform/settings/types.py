"""Types of settings: each validates and normalizes a list, an origin, a URL, a host or a network."""

import re
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_core import Url

from backend.platform.settings.environment import parse_port

__all__ = [
    "CommaSeparated",
    "Host",
    "HttpUrl",
    "Networks",
    "Origins",
    "Port",
    "mask_url",
    "with_mapped_ipv4",
]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ORIGIN: Final = re.compile(r"https?://[^\s/?#@\\%]+/?", re.IGNORECASE)
_HTTP_URL: Final = re.compile(r"https?://[^\s\\#]+", re.IGNORECASE)
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_USER_INFO: Final = re.compile(r"(?<=://)[^/?#\s]*@|(?<=://)\S*@")
_QUERY: Final = re.compile(r"(?<=\?)[^\s#]+")


def mask_url(text: str) -> str:
    """Replace user, password and query of every URL in a text by `***`."""
    return _QUERY.sub("***", _USER_INFO.sub("***@", text)) if "://" in text else text


def with_mapped_ipv4(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Add the IPv4-mapped IPv6 form of each IPv4 network, as dual-stack sockets report it (RFC 4291 §2.5.5.2)."""
    parsed = [ip_network(each) for each in networks if each != "*"]
    mapped = (
        f"::ffff:{each.network_address}/{96 + each.prefixlen}"
        for each in parsed
        if isinstance(each, IPv4Network)
    )
    return (*networks, *mapped)


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value[:1] in {"[", "{"}:
        raise ValueError("write the values separated by commas, not as a JSON array")
    members = tuple(member for part in value.split(",") if (member := part.strip()))
    if not members:
        raise ValueError("contains no value; unset it or write values separated by commas")
    for member in members:
        if re.search(r"[\s\"'`;]", member):
            raise ValueError(
                f"{mask_url(member)!r} is not a single value; write the values separated by commas"
            )
    return members


def _parse_origin(text: str) -> str:
    """Return an origin in the serialization that browsers send (RFC 6454 §6.2)."""
    if "*" in text:
        raise ValueError("a wildcard is not allowed with credentials; list each origin of the frontend")
    url = _parse_url(text) if _ORIGIN.fullmatch(text) else None
    if url is None:
        raise ValueError(
            f"{mask_url(text)!r} is not an origin; write scheme://host[:port], such as https://app.example.com"
        )
    port = "" if url.port == _DEFAULT_PORTS[url.scheme] else f":{url.port}"
    return f"{url.scheme}://{url.host}{port}"


def _parse_http_url(text: str) -> str:
    url = _parse_url(text) if _HTTP_URL.fullmatch(text) else None
    if url is None or url.port == 0 or not re.fullmatch(r"[a-z0-9._:\[\]-]+", url.host or ""):
        raise ValueError("must be an http or https URL without a fragment, such as https://app.example.com")
    return str(url) if "/" in text.partition("://")[2] else str(url).removesuffix("/")


def _parse_url(text: str) -> Url | None:
    try:
        return Url(text)
    except ValidationError:
        return None


def _parse_network(text: str) -> str:
    if text == "*":
        return text
    try:
        ip_network(text)
    except ValueError:
        raise ValueError(
            f"{mask_url(text)!r} is not an IP address or network; write a network such as 10.0.0.0/8, with host bits 0"
        ) from None
    return text


def _parse_host(text: str) -> str:
    bare = text.removeprefix("[").removesuffix("]")
    try:
        address = ip_address(bare)
    except ValueError:
        if bare != text or not _HOST_NAME.fullmatch(text):
            raise ValueError(
                "must be an IP address or a host name without scheme and port, such as 0.0.0.0 or ::"
            ) from None
    else:
        if getattr(address, "scope_id", None):
            raise ValueError("an address with a zone index (%interface) is not supported; use :: instead")
    return bare


def _parse_port_setting(value: Any) -> Any:
    return parse_port(value) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""A list of comma-separated values; white space around each value is removed."""

Origins = Annotated[tuple[Annotated[str, AfterValidator(_parse_origin)], ...], BeforeValidator(_split)]
"""Web origins, serialized as in RFC 6454 §6.2."""

Networks = Annotated[tuple[Annotated[str, AfterValidator(_parse_network)], ...], BeforeValidator(_split)]
"""IP addresses and networks (CIDR), or `*`."""

HttpUrl = Annotated[str, AfterValidator(_parse_http_url)]
"""An absolute http or https URL with the host in lower case and internationalized names in Punycode."""

Host = Annotated[str, AfterValidator(_parse_host)]
"""An IP address without brackets, or a host name."""

Port = Annotated[int, BeforeValidator(_parse_port_setting)]
"""A port number in decimal digits."""
