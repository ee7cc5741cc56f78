"""Raw requests and the responses that RFC 9110 and RFC 9112 ask for."""

from dataclasses import dataclass

__all__ = ["RAW_REQUESTS", "SENTINEL", "RawRequest"]

SENTINEL = b"GET /health HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
"""Follows each request of the table: it has a response exactly where the connection is still open."""

_TASK = b'{"title": "T"}'
_LENGTH = b"Content-Length: 14\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_CHUNKS = b"e\r\n" + _TASK + b"\r\n0\r\n\r\n"
_UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
_SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n"


@dataclass(frozen=True)
class RawRequest:
    """Bytes of one client and the statuses of its responses.

    Attributes:
        name: What is odd.
        raw: Sent as it is; `{tasks}` and `{token}` are replaced.
        statuses: In their order.
        stays_open: Whether the connection serves the next request.
    """

    name: str
    raw: bytes
    statuses: tuple[int, ...]
    stays_open: bool = True


def _get(name: str, statuses: int | tuple[int, ...] = 200, **parts: bytes) -> RawRequest:
    return _request(name, statuses, **{"method": b"GET"} | parts)


def _post(name: str, statuses: int | tuple[int, ...] = 201, **parts: bytes) -> RawRequest:
    return _request(name, statuses, **{"method": b"POST"} | parts)


def _request(
    name: str,
    statuses: int | tuple[int, ...],
    *,
    method: bytes,
    target: bytes = b"{tasks}",
    version: bytes = b"HTTP/1.1",
    host: bytes = b"Host: service\r\n",
    token: bytes = b"Authorization: Bearer {token}\r\n",
    more: bytes = b"",
    body: bytes = b"",
    line: bytes = b"",
) -> RawRequest:
    """Build one; a response that refuses the request ends the connection, as do those to HTTP/1.0."""
    first = line or method + b" " + target + b" " + version
    head = first + b"\r\n" + host + token + b"Content-Type: application/json\r\n" + more + b"\r\n"
    expected = (statuses,) if isinstance(statuses, int) else statuses
    closes = expected[-1] in {400, 413, 431, 501, 505} or b"HTTP/1.0" in first or b"Connection: close" in more
    return RawRequest(name, head + body, expected, stays_open=not closes)


RAW_REQUESTS = (
    # Request line (RFC 9112 §3).
    _get("plain GET"),
    _post("plain POST", more=_LENGTH, body=_TASK),
    _get("lower case method", 400, method=b"get"),
    _get("unknown method", 400, method=b"FETCH"),
    _get("CONNECT", 501, method=b"CONNECT", target=b"service:80"),
    _get("no version", 400, line=b"GET {tasks}"),
    _get("HTTP/0.9", 400, version=b"HTTP/0.9"),
    _get("HTTP/2.0", 505, version=b"HTTP/2.0"),
    _get("HTTP/3", 400, version=b"HTTP/3"),
    _get("HTTP/1.1 with a space behind it", 400, version=b"HTTP/1.1 "),
    _get("lower case version", 400, version=b"http/1.1"),
    _get("tab in the request line", 400, line=b"GET\t{tasks} HTTP/1.1"),
    _get("space in the target", 400, target=b"/api/a b/tasks"),
    _get("NUL in the target", 400, target=b"/api/\0/tasks"),
    _get("bytes above ASCII in the target", 400, target=b"/api/\xc3\xbc/tasks"),
    RawRequest("blank lines before the request", b"\r\n\r\n" + SENTINEL, (200,), stays_open=False),
    RawRequest("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,), stays_open=False),
    RawRequest("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,), stays_open=False),
    # Request target (RFC 9112 §3.2).
    _get("absolute form", target=b"http://elsewhere{tasks}"),
    _get("absolute form with another Host", target=b"https://elsewhere:8443{tasks}", host=b"Host: b\r\n"),
    _get("absolute form in upper case", target=b"HTTP://ELSEWHERE{tasks}"),
    _get("absolute form without a path", 404, target=b"http://elsewhere"),
    _get("absolute form with a query alone", 404, target=b"http://elsewhere?a=b"),
    _get("absolute form without Host", 400, target=b"http://elsewhere{tasks}", host=b""),
    _get("absolute form with a user", 400, target=b"http://user:password@elsewhere{tasks}"),
    _get("absolute form of another scheme", 400, target=b"ftp://elsewhere{tasks}"),
    _get("absolute form without a host", 400, target=b"http://{tasks}"),
    _get("asterisk form", 404, method=b"OPTIONS", target=b"*"),
    _get("asterisk form of GET", 400, target=b"*"),
    _get("authority form of GET", 400, target=b"service:80"),
    _get("target without a slash", 400, target=b"health"),
    # Host (RFC 9112 §3.2).
    _get("no Host", 400, host=b""),
    _get("no Host, HTTP/1.0", host=b"", version=b"HTTP/1.0"),
    _get("two Hosts", 400, host=b"Host: a\r\nHost: b\r\n"),
    _get("two equal Hosts", 400, host=b"Host: a\r\nHOST: a\r\n"),
    _get("two Hosts, HTTP/1.0", 400, host=b"Host: a\r\nHost: b\r\n", version=b"HTTP/1.0"),
    _get("empty Host", host=b"Host:\r\n"),
    _get("Host with a port", host=b"Host: service:8000\r\n"),
    _get("Host with an IPv6 address", host=b"Host: [::1]:8000\r\n"),
    _get("Host with a path", 400, host=b"Host: a/b\r\n"),
    _get("Host with a user", 400, host=b"Host: user@a\r\n"),
    _get("Host with a space", 400, host=b"Host: a b\r\n"),
    _get("Host with a port that is no number", 400, host=b"Host: a:b\r\n"),
    _get("Host that is an URL", 400, host=b"Host: http://a\r\n"),
    # Header fields (RFC 9112 §5).
    _get("space before the colon", 400, more=b"X-Odd : 1\r\n"),
    _get("folded header", 400, more=b"X-Odd: 1\r\n 2\r\n"),
    _get("space before the first header", 400, host=b" Host: a\r\n"),
    _get("empty header name", 400, more=b": 1\r\n"),
    _get("header without a colon", 400, more=b"X-Odd\r\n"),
    _get("NUL in a header", 400, more=b"X-Odd: a\0b\r\n"),
    _get("bare CR in a header", 400, more=b"X-Odd: a\rb\r\n"),
    _get("bare LF behind a header", 400, more=b"X-Odd: a\n"),
    _get("bare LF behind the request line", 400, line=b"GET {tasks} HTTP/1.1\nX-Odd: a"),
    _get("bare LF at the end of the head", 400, more=b"X-Odd: a\r\n\n"),
    _get("whitespace around a value", more=b"Content-Length: \t0 \t\r\n", host=b"Host: \t service \t \r\n"),
    _get("1,000 headers", more=b"".join(b"X-%d: 1\r\n" % number for number in range(1000))),
    _get("a header of 40,000 bytes", 431, more=b"X-Large: " + b"x" * 40_000 + b"\r\n"),
    _get("a target of 40,000 bytes", 431, target=b"/" + b"x" * 40_000),
    # Message body length (RFC 9112 §6).
    _get("GET with a body", more=_LENGTH, body=_TASK),
    _get("GET whose body is a request", more=b"Content-Length: %d\r\n" % len(_SMUGGLED), body=_SMUGGLED),
    _post("length and chunks", 400, more=_LENGTH + _CHUNKED, body=_CHUNKS),
    _post("chunks and length", 400, more=_CHUNKED + _LENGTH, body=_CHUNKS),
    _post("two lengths", 400, more=_LENGTH + b"Content-Length: 15\r\n", body=_TASK),
    _post("two equal lengths", 400, more=_LENGTH + _LENGTH, body=_TASK),
    _post("list of lengths", 400, more=b"Content-Length: 14, 14\r\n", body=_TASK),
    _post("negative length", 400, more=b"Content-Length: -1\r\n", body=_TASK),
    _post("signed length", 400, more=b"Content-Length: +14\r\n", body=_TASK),
    _post("hexadecimal length", 400, more=b"Content-Length: 0xe\r\n", body=_TASK),
    _post("empty length", 400, more=b"Content-Length:\r\n", body=_TASK),
    _post("length beyond 64 bits", 400, more=b"Content-Length: " + b"9" * 30 + b"\r\n"),
    _post("length with underscore", 400, more=b"Content-Length: 1_4\r\n", body=_TASK),
    _post("body longer than its length", (201, 400), more=_LENGTH, body=_TASK + b"x"),
    # Transfer codings (RFC 9112 §6.1, §7).
    _post("chunks", more=_CHUNKED, body=_CHUNKS),
    _post("chunked in upper case", more=b"Transfer-Encoding: CHUNKED\r\n", body=_CHUNKS),
    _post("chunked with whitespace", more=b"Transfer-Encoding: \tchunked \r\n", body=_CHUNKS),
    _post("gzip, chunked", 501, more=b"Transfer-Encoding: gzip, chunked\r\n", body=_CHUNKS),
    _post("chunked, gzip", 400, more=b"Transfer-Encoding: chunked, gzip\r\n", body=_CHUNKS),
    _post("chunked, chunked", 400, more=b"Transfer-Encoding: chunked, chunked\r\n", body=_CHUNKS),
    _post("two codings in two headers", 501, more=b"Transfer-Encoding: gzip\r\n" + _CHUNKED, body=_CHUNKS),
    _post("chunked in two headers", 400, more=_CHUNKED + _CHUNKED, body=_CHUNKS),
    _post("identity", 501, more=b"Transfer-Encoding: identity\r\n", body=_CHUNKS),
    _post("xchunked", 501, more=b"Transfer-Encoding: xchunked\r\n", body=_CHUNKS),
    _post("chunked in quotes", 501, more=b'Transfer-Encoding: "chunked"\r\n', body=_CHUNKS),
    _post("chunked behind a vertical tab", 400, more=b"Transfer-Encoding: \x0bchunked\r\n", body=_CHUNKS),
    _post("chunks in HTTP/1.0", 400, more=_CHUNKED, body=_CHUNKS, version=b"HTTP/1.0"),
    _post("chunk extension", more=_CHUNKED, body=b'e;a=b;c="d"\r\n' + _TASK + b"\r\n0\r\n\r\n"),
    _post("chunk size with leading zeros", more=_CHUNKED, body=b"000" + _CHUNKS),
    _post("chunk size with a space", 400, more=_CHUNKED, body=b"e \r\n" + _TASK + b"\r\n0\r\n\r\n"),
    _post("chunk size with 0x", 400, more=_CHUNKED, body=b"0x" + _CHUNKS),
    _post("chunk size that is no number", 400, more=_CHUNKED, body=b"zz\r\n"),
    _post("negative chunk size", 400, more=_CHUNKED, body=b"-1\r\n"),
    _post("chunk size beyond 64 bits", 400, more=_CHUNKED, body=b"1" + b"0" * 16 + b"e\r\n" + _TASK),
    _post("bare LF behind a chunk size", 400, more=_CHUNKED, body=b"e\n" + _TASK + b"\r\n0\r\n\r\n"),
    _post("bare LF in a chunk extension", 400, more=_CHUNKED, body=b"e;\n" + _TASK + b"\r\n0\r\n\r\n"),
    _post("bare LF behind a chunk", 400, more=_CHUNKED, body=b"e\r\n" + _TASK + b"\n0\r\n\r\n"),
    _post("chunk longer than its size", 400, more=_CHUNKED, body=b"d\r\n" + _TASK + b"\r\n0\r\n\r\n"),
    _post("chunk extensions of 400,000 bytes", 413, more=_CHUNKED, body=b"e;" + b"x" * 400_000 + b"\r\n"),
    # Trailer fields (RFC 9110 §6.5.1).
    _post("trailer field", more=_CHUNKED, body=_CHUNKS[:-2] + b"X-Trailer: 1\r\n\r\n"),
    _post(
        "token in the trailer",
        401,
        more=_CHUNKED,
        token=b"",
        body=_CHUNKS[:-2] + b"Authorization: Bearer {token}\r\n\r\n",
    ),
    _post(
        "Upgrade in the trailer",
        more=_CHUNKED,
        body=_CHUNKS[:-2] + b"Upgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    ),
    _post("length in the trailer", 400, more=_CHUNKED, body=_CHUNKS[:-2] + b"Content-Length: 40\r\n\r\n"),
    _post("bare LF in the trailer", 400, more=_CHUNKED, body=_CHUNKS[:-2] + b"X: 1\n\r\n"),
    _post("trailer of 400,000 bytes", 413, more=_CHUNKED, body=_CHUNKS[:-2] + b"X: 123456\r\n" * 40_000),
    # Upgrade (RFC 9110 §7.8) and Expect (RFC 9110 §10.1.1).
    _get("Upgrade to h2c", more=_UPGRADE),
    _get(
        "Upgrade to websocket",
        more=b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    ),
    _get("Upgrade without Connection", more=b"Upgrade: h2c\r\n"),
    _get("Connection: upgrade alone", more=b"Connection: upgrade\r\n"),
    _get("empty Upgrade", more=b"Connection: upgrade\r\nUpgrade:\r\n"),
    _get("Upgrade and close", more=b"Upgrade: h2c\r\nConnection: close, upgrade\r\n"),
    _get("Upgrade, HTTP/1.0", more=_UPGRADE, version=b"HTTP/1.0"),
    _get("Upgrade without Host", 400, more=_UPGRADE, host=b""),
    _post("POST with Upgrade", more=_UPGRADE + _LENGTH, body=_TASK),
    _post("chunks with Upgrade", more=_UPGRADE + _CHUNKED, body=_CHUNKS),
    _post("chunks and length with Upgrade", 400, more=_UPGRADE + _CHUNKED + _LENGTH, body=_CHUNKS),
    _post(
        "gzip, chunked with Upgrade",
        501,
        more=_UPGRADE + b"Transfer-Encoding: gzip, chunked\r\n",
        body=_CHUNKS,
    ),
    _post(
        "Upgrade whose body is a request",
        422,
        more=_UPGRADE + b"Content-Length: %d\r\n" % len(_SMUGGLED),
        body=_SMUGGLED,
    ),
    _post("Expect", (100, 201), more=b"Expect: 100-continue\r\n" + _LENGTH, body=_TASK),
    _post(
        "Expect, HTTP/1.0", 201, more=b"Expect: 100-continue\r\n" + _LENGTH, body=_TASK, version=b"HTTP/1.0"
    ),
    _post("Expect in the trailer", more=_CHUNKED, body=_CHUNKS[:-2] + b"Expect: 100-continue\r\n\r\n"),
    _post("unknown expectation", more=b"Expect: the-worst\r\n" + _LENGTH, body=_TASK),
    # Order of responses (RFC 9112 §9.3.2).
    RawRequest("pipelined", SENTINEL.replace(b"Connection: close\r\n", b"") * 3, (200, 200, 200)),
    RawRequest(
        "malformed behind a request",
        SENTINEL.replace(b"Connection: close\r\n", b"") + b"\0",
        (200, 400),
        stays_open=False,
    ),
    RawRequest(
        "malformed chunk behind a request",
        SENTINEL.replace(b"Connection: close\r\n", b"")
        + b"POST {tasks} HTTP/1.1\r\nHost: service\r\nAuthorization: Bearer {token}\r\n"
        + b"Content-Type: application/json\r\n"
        + _CHUNKED
        + b"\r\nzz\r\n",
        (200, 400),
        stays_open=False,
    ),
    _get("request behind the last one", more=b"Connection: close\r\n"),
)
