"""TLS contexts: verification by sslmode, and certificate files that cannot be used."""

import ssl
from pathlib import Path

import pytest

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.dsn import check_dsns
from backend.platform.postgres.tls import TlsParameters, build_ssl_context, default_file
from tests.support.service import service_settings
from tests.support.tls_proxy import make_certificate


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate with its key, and a home directory without libpq's default files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return make_certificate(tmp_path)


def context_of(**parameters: object) -> ssl.SSLContext:
    context = build_ssl_context(TlsParameters("DATABASE_URL", **parameters), "db.example")  # type: ignore[arg-type]
    assert context is not None
    return context


@pytest.mark.parametrize(
    ("mode", "has_root", "is_verified", "checks_name"),
    [
        ("allow", False, False, False),
        ("prefer", False, False, False),
        ("require", False, False, False),
        ("require", True, True, False),  # as in libpq: means verify-ca
        ("verify-ca", True, True, False),
        ("verify-full", True, True, True),
    ],
)
def test_verification_follows_from_the_mode(
    certificate: Path, mode: str, *, has_root: bool, is_verified: bool, checks_name: bool
) -> None:
    context = context_of(mode=mode, root_certificate=str(certificate) if has_root else None)
    assert (context.verify_mode is ssl.CERT_REQUIRED) == is_verified
    assert context.check_hostname == checks_name
    assert context.cert_store_stats()["x509"] == has_root


def test_disabled_tls_needs_no_context() -> None:
    assert build_ssl_context(TlsParameters("DATABASE_URL", mode="disable"), "db.example") is None


def test_default_root_certificate_is_that_of_libpq(certificate: Path, tmp_path: Path) -> None:
    assert default_file("root.crt") is None
    (tmp_path / ".postgresql").mkdir()
    certificate.rename(tmp_path / ".postgresql" / "root.crt")
    assert context_of(mode="verify-full").verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("is_sent", [True, False])
def test_server_name_is_sent_unless_sslsni_is_0(*, is_sent: bool) -> None:
    context = context_of(mode="prefer", sends_server_name=is_sent)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="10.0.0.1").do_handshake()
    # The name is in clear text in the first message, and that of the URL even with hostaddr.
    assert (b"db.example" in outgoing.read()) == is_sent


def test_protocol_versions_are_limited() -> None:
    context = context_of(mode="require", min_version="TLSv1.3", max_version="TLSv1.3")
    assert (context.minimum_version, context.maximum_version) == (
        ssl.TLSVersion.TLSv1_3,
        ssl.TLSVersion.TLSv1_3,
    )


def test_revocation_lists_are_checked(certificate: Path, tmp_path: Path) -> None:
    parameters = {"mode": "verify-ca", "root_certificate": str(certificate)}
    assert not context_of(**parameters).verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN
    context = context_of(**parameters, revocation_directory=str(tmp_path))
    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN == ssl.VERIFY_CRL_CHECK_CHAIN


def test_system_roots_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    none = ssl.DefaultVerifyPaths(None, None, "", "", "", "")  # type: ignore[arg-type]
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: none)
    with pytest.raises(ConfigurationError, match=r"sslrootcert=system finds no .* ca-certificates"):
        context_of(mode="verify-full", root_certificate="system")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("sslmode=verify-full", "sslmode=verify-full needs a root certificate; add sslrootcert=system"),
        ("sslmode=verify-ca", "sslmode=verify-ca needs a root certificate"),
        ("sslmode=require&sslrootcert=/nowhere/ca.crt", "sslrootcert /nowhere/ca.crt cannot be read"),
        ("sslmode=verify-ca&sslrootcert={file}", "sslrootcert {file} cannot be used"),
        ("sslcert=/nowhere/client.crt", "sslcert /nowhere/client.crt cannot be read"),
        ("sslcert={file}&sslkey=/nowhere/client.key", "sslkey /nowhere/client.key cannot be read"),
        ("sslcert={file}&sslkey={file}", "sslcert {file} cannot be used with its sslkey and sslpassword"),
        ("sslmode=require&sslrootcert={pem}&sslcrl=/nowhere", "sslcrl /nowhere cannot be read"),
        ("sslmode=require&sslrootcert={pem}&sslcrldir=/nowhere", "sslcrldir /nowhere is not a directory"),
    ],
)
def test_unusable_certificate_files_are_rejected(
    certificate: Path, tmp_path: Path, query: str, sentence: str
) -> None:
    files = {"file": tmp_path / "empty.pem", "pem": certificate}
    files["file"].touch()
    settings = service_settings(f"postgresql://u:hunter2@db/tasks?{query.format(**files)}")
    with pytest.raises(ConfigurationError) as caught:
        check_dsns(settings)
    assert str(caught.value).startswith("DATABASE_URL: ")
    assert sentence.format(**files) in str(caught.value)


def test_key_in_place_of_its_path_is_not_shown(certificate: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        context_of(certificate=str(certificate), key="-----BEGIN PRIVATE KEY-----\nsecret")
    assert "sslkey cannot be read" in str(caught.value)
    assert "secret" not in str(caught.value)
