"""Checks of the request line and headers that httptools leaves to the server (RFC 9112 §3.2, §6.1)."""

import re
from collections import Counter

__all__ = ["RejectedRequest", "validate_request"]

_REG_NAME = rb"[A-Za-z0-9\-._~!$&'()*+,;=]*(?:%[0-9A-Fa-f]{2}[A-Za-z0-9\-._~!$&'()*+,;=]*)*"
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|" + _REG_NAME + rb")(?::[0-9]*)?")
"""`uri-host [":" port]` of RFC 9110 §7.2, without IPvFuture."""

_ABSOLUTE_FORM = re.compile(rb"(?i:https?)://([^/?#:][^/?#]*)(/[^?#]*)?(\?[^#]*)?")
_SINGLE_FIELDS = {b"host": 400, b"transfer-encoding": 501}


class RejectedRequest(Exception):
    """Raised for a request that gets an error response before the application sees it.

    Args:
        status: Status of the response, 400 to 505.
    """

    def __init__(self, status: int) -> None:
        self.status = status


def validate_request(
    method: bytes, target: bytes, version: str, headers: list[tuple[bytes, bytes]]
) -> tuple[bytes, bool]:
    """Check version, host and transfer coding of a request.

    If the target is in absolute form, its authority replaces `Host` (RFC 9112 §3.2.2).

    Args:
        method: The method as sent.
        target: The request target as sent.
        version: The HTTP version, such as `1.1`.
        headers: The headers: names in lower case, values without surrounding whitespace. Changed in place.

    Returns:
        The target in origin or asterisk form, and whether the client waits for `100 Continue`.

    Raises:
        RejectedRequest: 400, 501 (a transfer coding other than chunked) or 505 (version).
    """
    fields = dict(headers)
    if len(fields) != len(headers):
        counts = Counter(name for name, _ in headers)
        for status in (status for name, status in _SINGLE_FIELDS.items() if counts[name] > 1):
            raise RejectedRequest(status)
    host = fields.get(b"host")
    if _HOST.fullmatch(host) is None if host is not None else version == "1.1":
        raise RejectedRequest(400)
    coding = fields.get(b"transfer-encoding")
    if coding is not None and coding.lower() != b"chunked":
        raise RejectedRequest(501)
    if version not in {"1.0", "1.1"}:
        raise RejectedRequest(505 if version == "2.0" else 400)
    if version == "1.0" and coding is not None:  # RFC 9112 §6.1: such framing is faulty
        raise RejectedRequest(400)
    if not target.startswith(b"/"):
        target = _resolve_target(method, target, headers)
    expectation = fields.get(b"expect")
    # RFC 9110 §10.1.1: no 100 (Continue) to a client of HTTP/1.0.
    return target, expectation is not None and version == "1.1" and expectation.lower() == b"100-continue"


def _resolve_target(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the target in origin or asterisk form. An authority in it replaces `Host`."""
    if target == b"*":
        if method == b"OPTIONS":
            return target
        raise RejectedRequest(400)
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None or _HOST.fullmatch(match[1]) is None:
        raise RejectedRequest(400)
    headers[:] = [(b"host", match[1]), *((name, value) for name, value in headers if name != b"host")]
    if method == b"OPTIONS" and match[2] is None and match[3] is None:
        return b"*"
    return (match[2] or b"/") + (match[3] or b"")
