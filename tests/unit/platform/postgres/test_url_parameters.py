"""Each parameter of a URL is applied, translated, ignored, or rejected by name."""

import pytest

from backend.platform.postgres.connection_parameters import ConnectionParameters, Host
from backend.platform.postgres.dsn import parse_dsn
from tests.unit.platform.postgres.test_dsn import URL, refusal


def parse(query: str = "") -> ConnectionParameters:
    return parse_dsn(f"{URL}?{query}")


# https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS: (query, attribute, value).
HONOURED = [
    ("host=other", "hosts", (Host("other", "other", 5432),)),
    ("hostaddr=192.0.2.1", "hosts", (Host("db", "192.0.2.1", 5432),)),
    ("port=6543", "hosts", (Host("db", "db", 6543),)),
    ("dbname=other", "database", "other"),
    ("user=bob", "user", "bob"),
    ("password=p%2Bq+r", "password", "p+q+r"),
    ("connect_timeout=15", "connect_timeout_seconds", 15.0),
    ("connect_timeout=0", "connect_timeout_seconds", None),
    ("connect_timeout=-1", "connect_timeout_seconds", None),
    ("connect_timeout=", "connect_timeout_seconds", None),
    ("options=-c%20search_path%3Da", "options", "-c search_path=a"),
    ("options=-c+search_path%3Da+-c+jit%3Doff", "options", "-c search_path=a -c jit=off"),
    ("application_name=me", "server_settings", {"application_name": "me"}),
    ("fallback_application_name=me", "server_settings", {"application_name": "me"}),
    ("fallback_application_name=me&application_name=you", "server_settings", {"application_name": "you"}),
    ("channel_binding=require", "ignores_channel_binding", True),
    ("channel_binding=require&sslmode=verify-full", "ignores_channel_binding", False),
    ("channel_binding=prefer", "ignores_channel_binding", False),
    ("krbsrvname=pg", "krbsrvname", "pg"),
    ("gsslib=sspi", "gsslib", "sspi"),
    ("target_session_attrs=read-write", "target_session_attrs", "read-write"),
    ("target_session_attrs=any", "target_session_attrs", "any"),
    ("load_balance_hosts=random", "load_balance_hosts", True),
    ("load_balance_hosts=disable", "load_balance_hosts", False),
]
HONOURED_TLS = [
    ("", "mode", "prefer"),
    *((f"sslmode={mode}", "mode", mode) for mode in ("disable", "allow", "prefer", "require", "verify-ca")),
    ("sslmode=verify-full", "mode", "verify-full"),
    ("sslmode=no-verify", "mode", "require"),
    ("requiressl=1", "mode", "require"),
    ("requiressl=0", "mode", "prefer"),
    ("channel_binding=require", "mode", "require"),
    ("sslnegotiation=direct&sslmode=require", "is_direct", True),
    ("sslnegotiation=postgres", "is_direct", False),
    ("sslcert=/c", "certificate", "/c"),
    ("sslcert=/c&sslcertmode=disable", "certificate", None),
    ("sslkey=/k", "key", "/k"),
    ("sslpassword=s", "key_password", "s"),
    ("sslrootcert=/r", "root_certificate", "/r"),
    ("sslrootcert=system", "mode", "verify-full"),
    ("sslcrl=/l", "revocation_list", "/l"),
    ("sslcrldir=/d", "revocation_directory", "/d"),
    ("sslsni=0", "sends_server_name", False),
    ("sslsni=1", "sends_server_name", True),
    ("", "min_version", "TLSv1.2"),
    ("ssl_min_protocol_version=TLSv1.3", "min_version", "TLSv1.3"),
    ("ssl_max_protocol_version=TLSv1.2", "max_version", "TLSv1.2"),
]
WITHOUT_EFFECT = [
    "client_encoding=LATIN1",
    "gssdelegation=1",
    "gssencmode=disable",
    "gssencmode=prefer",
    "keepalives=1",
    "keepalives_count=3",
    "keepalives_idle=30",
    "keepalives_interval=10",
    "max_protocol_version=latest",
    "min_protocol_version=3.0",
    "oauth_issuer=",
    "replication=false",
    "require_auth=",
    "requirepeer=postgres",  # of Unix sockets alone
    "scram_client_key=",
    "sslcertmode=allow",
    "sslcompression=0",
    "sslkeylogfile=/tmp/keys",
    "tcp_user_timeout=1000",
]
REFUSED = [
    ("require_auth=scram-sha-256", "require_auth is not supported"),
    ("gssencmode=require", "gssencmode must not be require"),
    ("sslcertmode=require", "sslcertmode must not be require"),
    ("replication=database", "replication is not supported"),
    ("min_protocol_version=3.2", "min_protocol_version must be 3.0"),
    ("scram_client_key=a2V5", "scram_client_key is not supported"),
    ("scram_server_key=a2V5", "scram_server_key is not supported"),
    ("oauth_issuer=https://id", "oauth_issuer is not supported"),
    ("oauth_client_id=id", "oauth_client_id is not supported"),
    ("oauth_client_secret=id", "oauth_client_secret is not supported"),
    ("oauth_scope=id", "oauth_scope is not supported"),
    ("host=/run/postgresql&requirepeer=postgres", "requirepeer is not supported"),
    ("password=&passfile=/nowhere", "passfile cannot be read"),
    ("sslmode=verify", "sslmode must be disable, allow, prefer, require, verify-ca or verify-full"),
    ("sslmode=require&sslrootcert=system", "sslmode must be verify-full if sslrootcert is system"),
    ("sslnegotiation=direct", "sslnegotiation must not be direct unless"),
    ("sslsni=0&sslmode=verify-full", "sslsni must be 1"),
    ("sslsni=off", "sslsni must be 0 or 1"),
    ("sslmode=disable&channel_binding=require", "channel_binding must not be require"),
    ("channel_binding=yes", "channel_binding must be"),
    ("ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "ssl_max_protocol_version must"),
    ("ssl_max_protocol_version=SSLv3", "ssl_max_protocol_version must be"),
    ("connect_timeout=soon", "connect_timeout must be a whole number of seconds"),
    ("connect_timeout=1.5", "connect_timeout must be a whole number of seconds"),
    ("target_session_attrs=primary-ish", "target_session_attrs must be"),
    ("load_balance_hosts=yes", "load_balance_hosts must be"),
    ("gsslib=mit", "gsslib must be"),
    ("port=70000", "port must be a number from 1 to 65535"),
    ("port=0", "port must be a number from 1 to 65535"),
    ("port=1,2", "port must have one entry"),
    ("hostaddr=db", "hostaddr must be an IP address"),
    ("hostaddr=192.0.2.1,192.0.2.2", "hostaddr must have as many entries as host"),
    ("host=%40abstract", "host must be a host name"),
    (f"host=/{'x' * 100}", "host is too long for a Unix socket"),
    ("host=a..b", "host must be a host name"),
    (f"host={'x' * 64}", "host must be a host name"),
    ("statement_timeot=1", "statement_timeot is neither a connection parameter nor a setting"),
    ("sslmode", "a parameter after ? is not of the form name=value"),
    ("=1", "a parameter after ? is not of the form name=value"),
    ("ssl=perhaps", "ssl must be true or false"),
    ("pgbouncer=perhaps", "pgbouncer must be true or false"),
    ("sslidentity=/client.p12", "sslidentity is not supported"),
    ("sslinline=true", "sslinline is not supported"),
]


@pytest.mark.parametrize(("query", "attribute", "value"), HONOURED)
def test_supported_parameter_is_applied(query: str, attribute: str, value: object) -> None:
    assert getattr(parse(query), attribute) == value


@pytest.mark.parametrize(("query", "attribute", "value"), HONOURED_TLS)
def test_supported_tls_parameter_is_applied(query: str, attribute: str, value: object) -> None:
    assert getattr(parse(query).tls, attribute) == value


@pytest.mark.parametrize("query", WITHOUT_EFFECT)
def test_parameter_without_effect_is_ignored(query: str) -> None:
    assert parse(query) == parse()


@pytest.mark.parametrize(("query", "sentence"), REFUSED)
def test_invalid_parameter_is_rejected_by_name(query: str, sentence: str) -> None:
    said = refusal(f"{URL}?{query}")
    assert said.startswith("DATABASE_URL: ")
    assert sentence in said


DOCUMENTED = """
host hostaddr port dbname user password passfile require_auth channel_binding connect_timeout client_encoding
options application_name fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count
tcp_user_timeout replication gssencmode sslmode requiressl sslnegotiation sslcompression sslcert sslkey
sslkeylogfile sslpassword sslcertmode sslrootcert sslcrl sslcrldir sslsni requirepeer ssl_min_protocol_version
ssl_max_protocol_version min_protocol_version max_protocol_version krbsrvname gsslib gssdelegation
scram_client_key scram_server_key service servicefile target_session_attrs load_balance_hosts oauth_issuer
oauth_client_id oauth_client_secret oauth_scope
"""


def test_every_parameter_of_libpq_is_in_a_table_above() -> None:
    queries = [*WITHOUT_EFFECT, *(row[0] for row in (*HONOURED, *HONOURED_TLS, *REFUSED))]
    tried = {pair.partition("=")[0] for query in queries for pair in str(query).split("&")}
    assert set(DOCUMENTED.split()) - tried == {"service", "servicefile"}  # test_dsn.py has these


@pytest.mark.parametrize(
    "query",
    [
        "connection_limit=5&pool_timeout=10&schema=public&socket_timeout=5&single_use_connections=true",
        "sslaccept=accept_invalid_certs",
        "supa=base-pooler.x",
        "workaround=supabase-pooler.vercel",
        "conn_max_age=600&conn_health_checks=true",
        "pool_max_conns=10&pool_min_conns=2&pool_max_conn_lifetime=1h&default_query_exec_mode=exec",
        "binary_parameters=yes&x-migrations-table=m",
        "async_fallback=true&command_timeout=60&prepared_statement_cache_size=100&pool_size=5&max_overflow=2",
        "currentSchema=public&prepareThreshold=0&reWriteBatchedInserts=true&socketTimeout=30&tcpKeepAlive=true",
        "uselibpqcompat=true&max=10&idleTimeoutMillis=1000",
        "pool=5&prepared_statements=false&statement-cache-capacity=0",
        "pgbouncer=false",
        "&",
    ],
)
def test_parameters_of_other_drivers_are_ignored(query: str) -> None:
    assert parse(query) == parse()


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("ssl=true", "require"),
        ("ssl=1", "require"),
        ("ssl=no-verify", "require"),
        ("ssl=require", "require"),
        ("ssl=verify-full", "verify-full"),
        ("ssl=false", "disable"),
        ("ssl_require=True", "require"),
        ("ssl-mode=require", "require"),
        ("sslaccept=strict", "verify-full"),
        ("sslmode=verify-full&ssl=true", "verify-full"),
        ("sslmode=require&ssl=false", "require"),
        ("sslmode=prefer&ssl=require", "require"),
    ],
)
def test_tls_parameters_of_other_drivers_never_weaken_tls(query: str, mode: str) -> None:
    assert parse(query).tls.mode == mode


def test_other_drivers_names_of_parameters_are_translated() -> None:
    parameters = parse("ApplicationName=me&targetServerType=primary&loadBalanceHosts=true&database=other")
    assert parameters.server_settings == {"application_name": "me"}
    assert (parameters.target_session_attrs, parameters.load_balance_hosts) == ("primary", True)
    assert parameters.database == "other"
    assert parse("sslaccept=strict").tls.root_certificate == "system"


@pytest.mark.parametrize(
    ("url", "pooler"),
    [
        (URL, "none"),
        (f"{URL}?pgbouncer=true", "transaction"),
        (f"{URL}?statement_cache_size=0", "transaction"),
        ("postgresql://u@ep-x-pooler.eu-central-1.aws.neon.tech/d", "transaction"),
        ("postgresql://u@pooled.db.prisma.io/d", "transaction"),
        ("postgresql://u@aws-0-eu.pooler.supabase.com:6543/d", "transaction"),
        ("postgresql://u@aws-0-eu.pooler.supabase.com:5432/d", "session"),
        ("postgresql://u@db.x.supabase.co:5432/d", "none"),
    ],
)
def test_pooler_is_derived_from_the_url_unless_it_is_set(url: str, pooler: str) -> None:
    assert parse_dsn(url).pooler == pooler
    assert parse_dsn(url, pooler="session").pooler == "session"
    assert parse_dsn(url, pooler="none").pooler == "none"


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("statement_timeout=1000", {"statement_timeout": "1000"}),
        ("TimeZone=UTC&search_path=a,b", {"TimeZone": "UTC", "search_path": "a,b"}),
        ("pg_trgm.similarity_threshold=0.5", {"pg_trgm.similarity_threshold": "0.5"}),
    ],
)
def test_server_settings(query: str, settings: dict[str, str]) -> None:
    assert parse(query).server_settings == settings
