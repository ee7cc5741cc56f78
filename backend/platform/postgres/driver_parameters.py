"""URL parameters of other PostgreSQL drivers and tools: which are ignored, and which are translated to libpq's."""

from typing import Final

from backend.platform.postgres.parameter_values import FALSE_VALUES, ParameterValues
from backend.platform.postgres.tls import SSL_MODES, SYSTEM_ROOTS

__all__ = ["apply_driver_parameter", "is_driver_parameter"]

_NAMES: Final = (
    # Prisma; postgres.js, node-postgres, Drizzle, TypeORM, Sequelize
    """
    connection_limit pgbouncer schema single_use_connections socket_timeout sslaccept statement_cache_size
    allowExitOnIdle backoff charset connectionLimit connectionTimeoutMillis debug enableChannelBinding encoding
    fetch_types idle_timeout idleTimeoutMillis keep_alive keepAlive keepAliveInitialDelayMillis logging max
    max_lifetime maxLifetimeSeconds maxUses min prepare publications query_timeout ssl synchronize timezoneOffset
    uselibpqcompat
    """
    # Supabase and Vercel
    """
    supa workaround
    """
    # asyncpg, SQLAlchemy, Django and dj-database-url, Rails
    """
    async_fallback command_timeout direct_tls executemany_mode isolation_level max_cacheable_statement_size
    max_cached_statement_lifetime max_overflow plugin prepared_statement_cache_size prepared_statement_name_func
    server_side_cursors timeout use_native_hstore
    assume_role atomic_requests autocommit conn_health_checks conn_max_age disable_server_side_cursors engine
    ssl_require
    adapter advisory_locks checkout_timeout pool prepared_statements reaping_frequency
    """
    # pgx, lib/pq and database/sql; sqlx and Diesel
    """
    binary_parameters default_query_exec_mode description_cache_capacity disable_prepared_binary_result
    prefer_simple_protocol statement_cache_capacity statement_cache_mode
    statement-cache-capacity
    """
    # JDBC: https://jdbc.postgresql.org/documentation/use/
    """
    adaptiveFetch adaptiveFetchMaximum adaptiveFetchMinimum allowEncodingChanges assumeMinServerVersion
    authenticationPluginClassName autosave binaryTransfer binaryTransferDisable binaryTransferEnable
    cancelSignalTimeout cleanupSavepoints connectTimeout currentSchema databaseMetadataCacheFields
    databaseMetadataCacheFieldsMiB defaultRowFetchSize disableColumnSanitiser escapeSyntaxCallMode
    groupStartupParameters gssResponseTimeout gssUseDefaultCreds hideUnprivilegedObjects hostRecheckSeconds
    jaasApplicationName jaasLogin loadBalanceHosts localSocketAddress logServerErrorDetail logUnclosedConnections
    loggerFile loggerLevel loginTimeout maxResultBuffer maxSendBufferSize preferQueryMode prepareThreshold
    preparedStatementCacheQueries preparedStatementCacheSizeMiB protocolVersion quoteReturningIdentifiers
    reWriteBatchedInserts readOnly readOnlyMode receiveBufferSize sendBufferSize socketFactory socketFactoryArg
    socketTimeout sslResponseTimeout sslfactory sslfactoryarg sslhostnameverifier sslpasswordcallback
    sspiServiceClass stringtype targetServerType tcpKeepAlive tcpNoDelay unknownLength useSpnego
    xmlFactoryFactory
    """
)
_DRIVER_PARAMETERS: Final = frozenset(_NAMES.split())
_DRIVER_PREFIXES: Final = ("pool_", "x-")  # pgx and SQLAlchemy; golang-migrate

_TARGET_SERVER_TYPES: Final = {
    "any": "any",
    "master": "primary",
    "preferSecondary": "prefer-standby",
    "preferSlave": "prefer-standby",
    "primary": "primary",
    "secondary": "standby",
    "slave": "standby",
}
"""Values of JDBC's `targetServerType` and the equivalents of libpq's `target_session_attrs`."""

_TRUE_VALUES: Final = frozenset({"", "1", "on", "true", "yes"})


def is_driver_parameter(name: str) -> bool:
    """Return whether a name is a parameter of another driver or tool."""
    return name in _DRIVER_PARAMETERS or name.startswith(_DRIVER_PREFIXES)


def apply_driver_parameter(values: ParameterValues, name: str, value: str) -> None:
    """Apply the equivalent of another driver's parameter. Most have none and are ignored.

    Raises:
        ConfigurationError: A boolean parameter has another value.
    """
    match name:
        case "pgbouncer":
            values.has_transaction_pooler |= _is_true(values, name, value)
        case "prepared_statement_cache_size" | "statement_cache_size":
            # 0 disables prepared statements, as a transaction pooler requires.
            values.has_transaction_pooler |= value == "0"
        case "ssl":
            values.require_at_least(_sslmode(values, value))
        case "ssl_require" if _is_true(values, name, value):
            values.require_at_least("require")
        case "sslaccept" if value == "strict":
            values.require_at_least("verify-full")
            if not values.has("sslrootcert"):
                values.set("sslrootcert", SYSTEM_ROOTS)
        case "targetServerType" if value in _TARGET_SERVER_TYPES:
            values.set("target_session_attrs", _TARGET_SERVER_TYPES[value])
        case "loadBalanceHosts" if _is_true(values, name, value):
            values.set("load_balance_hosts", "random")
        case _:
            pass


def _sslmode(values: ParameterValues, value: str) -> str:
    """Return the `sslmode` for the parameter `ssl` of node-postgres, JDBC or SQLAlchemy."""
    if value in SSL_MODES:
        return value
    return "require" if value == "no-verify" or _is_true(values, "ssl", value) else "disable"


def _is_true(values: ParameterValues, name: str, value: str) -> bool:
    if value.lower() not in _TRUE_VALUES | FALSE_VALUES:
        values.fail(name, "must be true or false")
    return value.lower() in _TRUE_VALUES
