"""TLS contexts for libpq's SSL parameters (https://www.postgresql.org/docs/18/libpq-ssl.html)."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, override

from backend.platform.errors import ConfigurationError

__all__ = [
    "SSL_MODES",
    "SYSTEM_ROOTS",
    "TLS_VERSIONS",
    "TlsParameters",
    "build_ssl_context",
    "default_file",
]

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""Values of `sslmode` from the weakest to the strongest."""

SYSTEM_ROOTS: Final = "system"
TLS_VERSIONS: Final = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_ALPN_PROTOCOLS: Final = ["postgresql"]


@dataclass(frozen=True, slots=True)
class TlsParameters:
    """TLS parameters of TCP connections. Connections over Unix sockets are not encrypted.

    Attributes:
        variable: Variable that provided `sslmode`, for error messages.
        mode: One of SSL_MODES.
        root_certificate: File of the trusted certificate authorities, or SYSTEM_ROOTS.
        certificate, key, key_password: Client certificate with its private key and the key's passphrase.
        revocation_list, revocation_directory: File and directory of certificate revocation lists.
        min_version, max_version: Keys of TLS_VERSIONS.
        is_direct: Whether the connection starts with TLS, without PostgreSQL's SSLRequest.
        sends_server_name: Whether to send the host name unencrypted (SNI). Some providers route by it.
    """

    variable: str
    mode: str = "prefer"
    root_certificate: str | None = None
    certificate: str | None = None
    key: str | None = None
    key_password: str = field(default="", repr=False)
    revocation_list: str | None = None
    revocation_directory: str | None = None
    min_version: str = "TLSv1.2"
    max_version: str | None = None
    is_direct: bool = False
    sends_server_name: bool = True

    @property
    def is_required(self) -> bool:
        """Whether connections without TLS are forbidden."""
        return SSL_MODES.index(self.mode) >= SSL_MODES.index("require")


class _HostNameContext(ssl.SSLContext):
    """Verifies and sends the host name even if the connection is made to its `hostaddr`."""

    server_name: str | None = None

    @override
    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name, session)


def build_ssl_context(tls: TlsParameters, server_name: str) -> ssl.SSLContext | None:
    """Return the SSL context for asyncpg; None if `sslmode` is `disable`.

    Args:
        tls: TLS parameters.
        server_name: Host name, which the certificate must contain if `sslmode` is `verify-full`.

    Raises:
        ConfigurationError: A file is missing or invalid.
    """
    if tls.mode == "disable":
        return None
    context = _HostNameContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name if tls.sends_server_name else None
    context.check_hostname = tls.mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if tls.mode.startswith("verify-") else ssl.CERT_NONE
    try:
        context.minimum_version = TLS_VERSIONS[tls.min_version]
        if tls.max_version is not None:
            context.maximum_version = TLS_VERSIONS[tls.max_version]
    except ValueError:
        raise ConfigurationError(
            f"{tls.variable}: the installed OpenSSL does not support ssl_min_protocol_version or ssl_max_protocol_version"
        ) from None
    context.set_alpn_protocols(_ALPN_PROTOCOLS)
    if tls.is_required:
        _load_roots(context, tls)
    _load_client_certificate(context, tls)
    return context


def _load_roots(context: ssl.SSLContext, tls: TlsParameters) -> None:
    root = tls.root_certificate or default_file("root.crt")
    if root is None:
        if tls.mode != "require":
            raise ConfigurationError(
                f"{tls.variable}: sslmode={tls.mode} needs a root certificate; add sslrootcert=system for the"
                " system's certificate authorities, or sslrootcert=/path/to/ca.crt"
            )
        return
    # Like in libpq, `require` with a root certificate means `verify-ca`.
    context.verify_mode = ssl.CERT_REQUIRED
    if root == SYSTEM_ROOTS:
        paths = ssl.get_default_verify_paths()
        if paths.cafile is None and paths.capath is None:
            raise ConfigurationError(
                f"{tls.variable}: sslrootcert=system finds no certificate authorities on this system;"
                " install the package ca-certificates, or name a file"
            )
        context.load_default_certs()
    else:
        _load(tls, "sslrootcert", root, lambda: context.load_verify_locations(cafile=root))
    revocation_list = tls.revocation_list or default_file("root.crl")
    if revocation_list:
        _load(tls, "sslcrl", revocation_list, lambda: context.load_verify_locations(cafile=revocation_list))
    directory = tls.revocation_directory
    if directory:
        if not Path(directory).is_dir():
            raise ConfigurationError(
                f"{tls.variable}: sslcrldir {_describe_path(directory)}is not a directory"
            )
        context.load_verify_locations(capath=directory)
    if revocation_list or directory:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _load_client_certificate(context: ssl.SSLContext, tls: TlsParameters) -> None:
    certificate = tls.certificate
    if certificate is None:
        return
    key = tls.key
    # OpenSSL does not tell which of both files is unreadable, so each is opened first.
    for name, path in (("sslcert", certificate), ("sslkey", key)):
        if path is not None:
            _load(tls, name, path, Path(path).read_bytes)
    _load(
        tls,
        "sslcert",
        certificate,
        lambda: context.load_cert_chain(certificate, key, lambda: tls.key_password),
    )


def _load(tls: TlsParameters, name: str, path: str, load: Callable[[], Any]) -> None:
    try:
        load()
    except ssl.SSLError:
        key = " with its sslkey and sslpassword" if name == "sslcert" else ""
        reason = f"cannot be used{key}: it is not valid PEM, or the files do not match"
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({type(error).__name__})"
    else:
        return
    raise ConfigurationError(f"{tls.variable}: {name} {_describe_path(path)}{reason}")


def _describe_path(path: str) -> str:
    """Return a path for an error message; an empty string if it is the text of a certificate or key."""
    return f"{path} " if path.isprintable() and "-----" not in path else ""


def default_file(name: str) -> str | None:
    """Return the path of libpq's default file in the home directory, None if it does not exist."""
    try:
        path = Path.home() / ".postgresql" / name
        return str(path) if path.is_file() else None
    except (RuntimeError, OSError):
        return None
