"""Validates libpq's parameters and builds ConnectionParameters from them."""

import getpass
import re
from pathlib import Path
from typing import Final

from backend.platform.postgres.connection_parameters import ConnectionParameters, Host, Pooler, PoolerSetting
from backend.platform.postgres.host_list import read_hosts
from backend.platform.postgres.parameter_values import FALSE_VALUES, ParameterValues
from backend.platform.postgres.tls import (
    SSL_MODES,
    SYSTEM_ROOTS,
    TLS_VERSIONS,
    TlsParameters,
    default_file,
)

__all__ = ["build_parameters"]

_SESSION_ATTRIBUTES: Final = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
_SUPABASE_TRANSACTION_PORT: Final = 6543


def build_parameters(values: ParameterValues, pooler: PoolerSetting) -> ConnectionParameters:
    """Validate all parameters.

    Args:
        values: Parameters as text.
        pooler: Mode of the pooler in front of the server; `auto` derives it from the URL.

    Raises:
        ConfigurationError: A value is invalid, or the driver does not support it.
    """
    _reject_unsupported(values)
    hosts = read_hosts(values)
    pooler = _pooler(values, hosts, pooler)
    # A router of shards answers for the shard that it asked first, also after the failover of that shard.
    session_attributes = "any" if pooler == "spqr" else "read-write"
    has_tcp = any(not host.is_socket for host in hosts)
    # Like libpq, ignore TLS parameters if all hosts are Unix sockets.
    tls = _tls(values) if has_tcp else TlsParameters(values.variable, mode="disable")
    if values.get("requirepeer") and any(host.is_socket for host in hosts):
        values.fail(
            "requirepeer",
            "is not supported: the driver cannot check the owner of a Unix socket's server; remove it",
        )
    user = values.get("user") or _system_user(values)
    application_name = values.get("application_name") or values.get("fallback_application_name")
    if application_name:
        values.server_settings["application_name"] = application_name
    return ConnectionParameters(
        variable=values.variable,
        hosts=tuple(hosts),
        user=user,
        password=_password(values),
        passfile=values.get("passfile"),
        database=values.get("dbname") or user,
        tls=tls,
        server_settings=values.server_settings,
        options=values.get("options") or "",
        target_session_attrs=values.choice("target_session_attrs", _SESSION_ATTRIBUTES, session_attributes),
        connect_timeout_seconds=_connect_timeout(values),
        load_balance_hosts=values.choice("load_balance_hosts", ("disable", "random"), "disable") == "random",
        krbsrvname=values.get("krbsrvname"),
        gsslib=values.choice("gsslib", ("gssapi", "sspi"), "gssapi"),
        pooler=pooler,
        ignores_channel_binding=has_tcp
        and values.get("channel_binding") == "require"
        and tls.mode != "verify-full",
    )


def _reject_unsupported(values: ParameterValues) -> None:
    if values.choice("gssencmode", ("disable", "prefer", "require"), "prefer") == "require":
        values.fail(
            "gssencmode", "must not be require: the driver does not support GSSAPI encryption; use sslmode"
        )
    if values.choice("sslcertmode", ("disable", "allow", "require"), "allow") == "require":
        values.fail(
            "sslcertmode",
            "must not be require: the driver cannot see whether the server requests a certificate; remove it",
        )
    if (values.get("replication") or "false").lower() not in FALSE_VALUES:
        values.fail(
            "replication", "is not supported: the service does not use the replication protocol; remove it"
        )
    if values.choice("min_protocol_version", ("3.0", "3.2", "latest"), "3.0") != "3.0":
        values.fail("min_protocol_version", "must be 3.0, the only protocol version of the driver")


def _tls(values: ParameterValues) -> TlsParameters:
    mode = _sslmode(values)
    min_version = values.choice("ssl_min_protocol_version", TLS_VERSIONS, "TLSv1.2")
    max_version = values.get("ssl_max_protocol_version")
    if (
        max_version
        and TLS_VERSIONS[values.choice("ssl_max_protocol_version", TLS_VERSIONS, "")]
        < TLS_VERSIONS[min_version]
    ):
        values.fail("ssl_max_protocol_version", "must not be lower than ssl_min_protocol_version")
    is_direct = values.choice("sslnegotiation", ("postgres", "direct"), "postgres") == "direct"
    if is_direct and SSL_MODES.index(mode) < SSL_MODES.index("require"):
        values.fail(
            "sslnegotiation", "must not be direct unless sslmode is require, verify-ca or verify-full"
        )
    sends_server_name = values.flag("sslsni", default=True)
    if not sends_server_name and mode == "verify-full":
        values.fail(
            "sslsni", "must be 1 if sslmode is verify-full: the driver verifies the name that it sends"
        )
    certificate, key = values.get("sslcert"), values.get("sslkey")
    if values.get("sslcertmode") == "disable":
        certificate = None
    elif values.reads_environment:
        certificate, key = (
            certificate or default_file("postgresql.crt"),
            key or default_file("postgresql.key"),
        )
    return TlsParameters(
        variable=values.variable_of("sslmode"),
        mode=mode,
        root_certificate=values.get("sslrootcert"),
        certificate=certificate,
        key=key,
        key_password=values.get("sslpassword") or "",
        revocation_list=values.get("sslcrl"),
        revocation_directory=values.get("sslcrldir"),
        min_version=min_version,
        max_version=max_version,
        is_direct=is_direct,
        sends_server_name=sends_server_name,
    )


def _sslmode(values: ParameterValues) -> str:
    sslmode = values.get("sslmode")
    if sslmode == "no-verify":  # node-postgres and Heroku
        values.set("sslmode", "require")
    mode = values.choice("sslmode", SSL_MODES, values.min_sslmode or "prefer")
    if values.flag("requiressl", default=False):
        values.require_at_least("require")
    mode = max(mode, values.min_sslmode or mode, key=SSL_MODES.index)
    if values.choice("channel_binding", ("disable", "prefer", "require"), "prefer") == "require":
        if mode == "disable":
            values.fail("channel_binding", "must not be require if sslmode is disable")
        mode = max(mode, "require", key=SSL_MODES.index)
    if values.get("sslrootcert") == SYSTEM_ROOTS and mode != "verify-full":
        if sslmode:
            values.fail("sslmode", "must be verify-full if sslrootcert is system")
        mode = "verify-full"
    return mode


def _connect_timeout(values: ParameterValues) -> float | None:
    text = values.get("connect_timeout") or "0"
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", text):
        values.fail("connect_timeout", "must be a whole number of seconds")
    return float(text) if int(text) > 0 else None


def _pooler(values: ParameterValues, hosts: list[Host], setting: PoolerSetting) -> Pooler:
    if setting != "auto":
        return setting
    for host in hosts:
        name = host.name.lower()
        if "-pooler" in name or name == "pooled.db.prisma.io":  # Neon, Prisma Postgres
            return "transaction"
        if name.endswith((".supabase.com", ".supabase.co")):
            if host.port == _SUPABASE_TRANSACTION_PORT:
                return "transaction"
            if ".pooler." in name and not values.has_transaction_pooler:
                return "session"
    return "transaction" if values.has_transaction_pooler else "none"


def _system_user(values: ParameterValues) -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        values.fail("user", "is missing: write postgresql://user:password@host/database")


def _password(values: ParameterValues) -> str | None:
    password, passfile = values.get("password"), values.get("passfile")
    if password is None and passfile is not None:
        _check_passfile(values, Path(passfile))
    elif password is None and not values.reads_environment:
        return ""  # None would let asyncpg read PGPASSWORD and the password file
    return password


def _check_passfile(values: ParameterValues, path: Path) -> None:
    try:
        with path.open():
            is_private = path.is_file() and not path.stat().st_mode & 0o077
    except (OSError, ValueError) as error:
        values.fail("passfile", f"cannot be read ({type(error).__name__})")
    if not is_private:
        values.fail("passfile", "must be a file that only its owner can read (chmod 600)")
