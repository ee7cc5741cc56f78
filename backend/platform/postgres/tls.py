"""TLS as libpq's ssl parameters define it: https://www.postgresql.org/docs/18/libpq-ssl.html."""

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
    "build_context",
    "default_client_certificate",
]

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""From the weakest to the strongest."""

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
    """How connections to a host are encrypted; Unix sockets never are.

    Attributes:
        variable: Names the origin of the parameters in errors.
        mode: One of SSL_MODES.
        root_certificate: File of the accepted authorities, or SYSTEM_ROOTS.
        certificate, key, key_password: The client's certificate.
        revocation_list, revocation_directory: Certificates that are not accepted any more.
        min_version, max_version: Keys of TLS_VERSIONS.
        is_direct: Start with TLS, without PostgreSQL's own negotiation.
        sends_server_name: Send the host's name in the clear (SNI), which some providers route by.
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
        """Whether no connection without TLS is made."""
        return SSL_MODES.index(self.mode) >= SSL_MODES.index("require")


class _NamedContext(ssl.SSLContext):
    """Verifies and sends the host's name, also where the connection is made to its `hostaddr`."""

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


def build_context(tls: TlsParameters, server_name: str) -> ssl.SSLContext | None:
    """Return what asyncpg encrypts with; None where `sslmode` is `disable`.

    Args:
        tls: The parameters.
        server_name: The host's name, which its certificate must have where `sslmode` is `verify-full`.

    Raises:
        ConfigurationError: A file is missing or cannot be used.
    """
    if tls.mode == "disable":
        return None
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name if tls.sends_server_name else None
    context.check_hostname = tls.mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if tls.mode.startswith("verify-") else ssl.CERT_NONE
    try:
        context.minimum_version = TLS_VERSIONS[tls.min_version]
        if tls.max_version is not None:
            context.maximum_version = TLS_VERSIONS[tls.max_version]
    except ValueError:
        raise ConfigurationError(f"{tls.variable}: this OpenSSL does not have that TLS version") from None
    context.set_alpn_protocols(_ALPN_PROTOCOLS)
    if tls.is_required:
        _load_roots(context, tls)
    _load_client_certificate(context, tls)
    return context


def _load_roots(context: ssl.SSLContext, tls: TlsParameters) -> None:
    root = tls.root_certificate or _default_file("root.crt")
    if root is None:
        if tls.mode != "require":
            raise ConfigurationError(
                f"{tls.variable}: sslmode={tls.mode} needs a root certificate; add sslrootcert=system for the"
                " system's authorities, or sslrootcert=/path/of/the/ca.crt"
            )
        return
    # As libpq has it, `require` with a root certificate verifies like `verify-ca`.
    context.verify_mode = ssl.CERT_REQUIRED
    if root == SYSTEM_ROOTS:
        paths = ssl.get_default_verify_paths()
        if paths.cafile is None and paths.capath is None:
            raise ConfigurationError(
                f"{tls.variable}: sslrootcert=system finds no authorities on this system;"
                " install its CA certificates, or name a file"
            )
        context.load_default_certs()
    else:
        _load(tls, "sslrootcert", root, lambda: context.load_verify_locations(cafile=root))
    revocation_list = tls.revocation_list or _default_file("root.crl")
    if revocation_list:
        _load(tls, "sslcrl", revocation_list, lambda: context.load_verify_locations(cafile=revocation_list))
    directory = tls.revocation_directory
    if directory:
        if not Path(directory).is_dir():
            raise ConfigurationError(f"{tls.variable}: sslcrldir {_shown(directory)}is not a directory")
        context.load_verify_locations(capath=directory)
    if revocation_list or directory:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _load_client_certificate(context: ssl.SSLContext, tls: TlsParameters) -> None:
    certificate = tls.certificate
    if certificate is None:
        return
    key = tls.key
    # OpenSSL reports both files by one error, so each is opened first.
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
        reason = f"cannot be used{key}: it is not valid PEM, or does not fit"
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({type(error).__name__})"
    else:
        return
    raise ConfigurationError(f"{tls.variable}: {name} {_shown(path)}{reason}")


def _shown(path: str) -> str:
    """Return a path for an error, but not a certificate or a key that stands in place of it."""
    return f"{path} " if path.isprintable() and "-----" not in path else ""


def _default_file(name: str) -> str | None:
    """Return libpq's file below the home directory, where there is one."""
    try:
        path = Path.home() / ".postgresql" / name
        return str(path) if path.is_file() else None
    except (RuntimeError, OSError):
        return None


def default_client_certificate() -> tuple[str | None, str | None]:
    """Return libpq's default certificate and key, each None where it is absent."""
    return _default_file("postgresql.crt"), _default_file("postgresql.key")
