"""Checks of a request's head that httptools leaves to the server (RFC 9112 §3.2, §6.1)."""

import re
from collections import Counter

__all__ = ["RefusedRequest", "validate_request"]

_REG_NAME = rb"[A-Za-z0-9\-._~!$&'()*+,;=]*(?:%[0-9A-Fa-f]{2}[A-Za-z0-9\-._~!$&'()*+,;=]*)*"
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|" + _REG_NAME + rb")(?::[0-9]*)?")
"""`uri-host [":" port]` of RFC 9110 §7.2, without the address formats of the future."""

_ABSOLUTE_FORM = re.compile(rb"(?i:https?)://([^/?#:][^/?#]*)(/[^?#]*)?(\?[^#]*)?")
_SINGLE_FIELDS = {b"host": 400, b"transfer-encoding": 501}


class RefusedRequest(Exception):
    """A request that is answered with an error before the application sees it.

    Args:
        status: Of the response, 400 to 505.
    """

    def __init__(self, status: int) -> None:
        self.status = status


def validate_request(
    method: bytes, target: bytes, version: str, headers: list[tuple[bytes, bytes]]
) -> tuple[bytes, bool]:
    """Check a head's version, host and transfer coding.

    Where the target is in absolute form, `Host` gets the target's authority (RFC 9112 §3.2.2).

    Args:
        method: As sent.
        target: The request target as sent.
        version: Such as `1.1`.
        headers: Names in lower case, values without surrounding whitespace. Changed in place.

    Returns:
        The target in origin or asterisk form, and whether the client waits for `100 Continue`.

    Raises:
        RefusedRequest: 400, 501 (a transfer coding other than chunked) or 505 (version).
    """
    fields = dict(headers)
    if len(fields) != len(headers):
        counts = Counter(name for name, _ in headers)
        for status in (status for name, status in _SINGLE_FIELDS.items() if counts[name] > 1):
            raise RefusedRequest(status)
    host = fields.get(b"host")
    if _HOST.fullmatch(host) is None if host is not None else version == "1.1":
        raise RefusedRequest(400)
    coding = fields.get(b"transfer-encoding")
    if coding is not None and coding.lower() != b"chunked":
        raise RefusedRequest(501)
    if version not in {"1.0", "1.1"}:
        raise RefusedRequest(505 if version == "2.0" else 400)
    if version == "1.0" and coding is not None:  # RFC 9112 §6.1: such framing is faulty
        raise RefusedRequest(400)
    if not target.startswith(b"/"):
        target = _resolve_target(method, target, headers)
    expectation = fields.get(b"expect")
    # RFC 9110 §10.1.1: no 100 (Continue) to a client of HTTP/1.0.
    return target, expectation is not None and version == "1.1" and expectation.lower() == b"100-continue"


def _resolve_target(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a target without its authority, which becomes the Host."""
    if target == b"*":
        if method == b"OPTIONS":
            return target
        raise RefusedRequest(400)
    found = _ABSOLUTE_FORM.fullmatch(target)
    if found is None or _HOST.fullmatch(found[1]) is None:
        raise RefusedRequest(400)
    headers[:] = [(b"host", found[1]), *((name, value) for name, value in headers if name != b"host")]
    if method == b"OPTIONS" and found[2] is None and found[3] is None:
        return b"*"
    return (found[2] or b"/") + (found[3] or b"")
