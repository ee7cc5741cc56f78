"""Checks of the request line and headers (RFC 9112 §3.2, §6.1), without a parser."""

import pytest

from backend.platform.server.request_validation import RejectedRequest, validate_request

HOST = (b"host", b"a")


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        ("1.1", [], 400),
        ("1.1", [HOST, HOST], 400),
        ("1.1", [HOST, (b"host", b"b")], 400),
        ("1.1", [(b"host", b"a/b")], 400),
        ("1.1", [(b"host", b"user@a")], 400),
        ("1.1", [(b"host", b"a b")], 400),
        ("1.1", [(b"host", b"a:port")], 400),
        ("1.1", [(b"host", b"http://a")], 400),
        ("1.1", [(b"host", b"%zz")], 400),
        ("1.0", [HOST, HOST], 400),
        ("2.0", [HOST], 505),
        ("0.9", [HOST], 400),
        ("3.0", [HOST], 400),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip")], 501),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")], 501),
        ("1.1", [HOST, (b"transfer-encoding", b"")], 501),
        ("1.1", [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], 501),
        ("1.0", [HOST, (b"transfer-encoding", b"chunked")], 400),
    ],
)
def test_invalid_request_is_rejected_with_its_status(
    version: str, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    with pytest.raises(RejectedRequest) as rejection:
        validate_request(b"GET", b"/", version, headers)
    assert rejection.value.status == status


@pytest.mark.parametrize(
    ("version", "host"),
    [
        ("1.1", b"a"),
        ("1.1", b""),
        ("1.1", b"a:8000"),
        ("1.1", b"a:"),
        ("1.1", b"[::1]:8000"),
        ("1.1", b"%41.example"),
        ("1.1", b"xn--bcher-kva.example"),
        ("1.0", None),
    ],
)
def test_valid_host_is_accepted_and_kept(version: str, host: bytes | None) -> None:
    headers = [] if host is None else [(b"host", host)]
    before = list(headers)
    assert validate_request(b"GET", b"/tasks?a=b", version, headers) == (b"/tasks?a=b", False)
    assert headers == before


@pytest.mark.parametrize(
    ("method", "target", "resolved"),
    [
        (b"GET", b"http://b:1/tasks?a=b", b"/tasks?a=b"),
        (b"GET", b"HTTPS://b:1", b"/"),
        (b"GET", b"http://b:1?a=b", b"/?a=b"),
        (b"OPTIONS", b"http://b:1", b"*"),
        (b"OPTIONS", b"http://b:1/", b"/"),
    ],
)
def test_authority_of_an_absolute_target_replaces_the_host(
    method: bytes, target: bytes, resolved: bytes
) -> None:
    headers = [HOST, (b"accept", b"*/*")]
    assert validate_request(method, target, "1.1", headers) == (resolved, False)
    assert headers == [(b"host", b"b:1"), (b"accept", b"*/*")]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"*"),
        (b"GET", b""),
        (b"GET", b"tasks"),
        (b"GET", b"ftp://b/"),
        (b"GET", b"http:///tasks"),
        (b"GET", b"http://user@b/"),
        (b"GET", b"http://b/#fragment"),
    ],
)
def test_other_targets_are_rejected(method: bytes, target: bytes) -> None:
    with pytest.raises(RejectedRequest) as rejection:
        validate_request(method, target, "1.1", [HOST])
    assert rejection.value.status == 400


@pytest.mark.parametrize(
    ("version", "expectation", "waits"),
    [
        ("1.1", b"100-continue", True),
        ("1.1", b"100-Continue", True),
        ("1.1", b"the-worst", False),
        ("1.0", b"100-continue", False),
    ],
)
def test_client_waits_for_100_continue_in_http_1_1_only(
    version: str, expectation: bytes, *, waits: bool
) -> None:
    headers = [HOST, (b"expect", expectation)]
    assert validate_request(b"POST", b"/", version, headers) == (b"/", waits)


def test_asterisk_is_a_target_of_options() -> None:
    assert validate_request(b"OPTIONS", b"*", "1.1", [HOST]) == (b"*", False)
