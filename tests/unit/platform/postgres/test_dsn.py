"""A PostgreSQL URL is parsed as by libpq, or rejected in one sentence without any part of its password."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.connection_parameters import ConnectionParameters, Host
from backend.platform.postgres.dsn import parse_dsn

URL = "postgresql://alice:hunter2@db/tasks"


def parse(query: str = "") -> ConnectionParameters:
    return parse_dsn(f"{URL}?{query}")


def refusal(url: str, **options: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_dsn(url, **options)  # type: ignore[arg-type]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("location", "hosts"),
    [
        ("db:6000/tasks", [Host("db", "db", 6000)]),
        ("my_db./tasks", [Host("my_db.", "my_db.", 5432)]),
        ("192.0.2.7/tasks", [Host("192.0.2.7", "192.0.2.7", 5432)]),
        ("[::1]/tasks", [Host("::1", "::1", 5432)]),
        ("[2001:db8::1]:6000/tasks", [Host("2001:db8::1", "2001:db8::1", 6000)]),
        ("[fe80::1%25eth0]/tasks", [Host("fe80::1%eth0", "fe80::1%eth0", 5432)]),
        ("/tasks?host=::1", [Host("::1", "::1", 5432)]),
        ("a:1,b,[::1]:3/tasks", [Host("a", "a", 1), Host("b", "b", 5432), Host("::1", "::1", 3)]),
        ("a,b:2/tasks?port=7", [Host("a", "a", 7), Host("b", "b", 7)]),
        ("/tasks?host=a,b&port=1,2", [Host("a", "a", 1), Host("b", "b", 2)]),
        ("/tasks?host=a:1,b:2", [Host("a", "a", 1), Host("b", "b", 2)]),
        ("/tasks?host=a&host=b", [Host("b", "b", 5432)]),
        ("/tasks?hostaddr=192.0.2.1", [Host("192.0.2.1", "192.0.2.1", 5432)]),
        ("/tasks?host=/run/postgresql", [Host("/run/postgresql", "/run/postgresql", 5432)]),
        ("%2Frun%2Fpostgresql:6000/tasks", [Host("/run/postgresql", "/run/postgresql", 6000)]),
        ("%2Fa%20b,db/tasks", [Host("/a b", "/a b", 5432), Host("db", "db", 5432)]),
    ],
)
def test_hosts(location: str, hosts: list[Host]) -> None:
    assert list(parse_dsn(f"postgresql://alice:hunter2@{location}").hosts) == hosts
    assert parse_dsn(f"postgresql://alice:hunter2@{location}").database == "tasks"


@pytest.mark.parametrize(
    "scheme",
    [
        "postgres",
        "postgresql",
        "PostgreSQL",
        "postgresql+asyncpg",
        "postgresql+psycopg",
        "postgresql+psycopg2",
    ],
)
def test_schemes(scheme: str) -> None:
    assert parse_dsn(f"{scheme}://alice:hunter2@db/tasks") == parse()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tasks",
        "mysql://alice:hunter2@db/tasks",
        "jdbc:postgresql://db/tasks?password=hunter2",
        "host=db password=hunter2",
        "'postgresql://alice:hunter2@db/tasks'",
        "psql postgresql://alice:hunter2@db/tasks",
    ],
)
def test_other_text_than_a_postgresql_url_is_rejected(url: str) -> None:
    assert refusal(url) == "DATABASE_URL must look like postgresql://user:password@host/database"


@pytest.mark.parametrize(
    "url", ["postgresql:///tasks", "postgresql://alice:hunter2@/tasks", "postgresql://?user=a"]
)
def test_without_a_host(url: str) -> None:
    assert refusal(url).startswith("DATABASE_URL: host is missing")


@pytest.mark.parametrize("character", "#:@&=+!$'()*,;[] ~|\\^\"<>{}`éß漢")
def test_characters_that_need_no_encoding_in_a_password(character: str) -> None:
    password = f"hunt{character}er2"
    assert parse_dsn(f"postgresql://alice:{password}@db/tasks").password == password
    assert parse_dsn(f"postgresql://alice:{quote(password, safe='')}@db/tasks").password == password


@pytest.mark.parametrize(
    "password", ["dY8/6fN6Z", "dY8?6fN6Z", "dY8%6fN6Z%", "dY8@6f/N6Z", "d%zz", "d%00", "d%ff", "d\nY8"]
)
def test_characters_that_must_be_encoded_in_a_password(password: str) -> None:
    said = refusal(f"postgresql://alice:{password}@db/tasks")
    assert "percent-encode special characters in user and password" in said
    assert not any(part in said for part in ("dY8", "6fN6Z", "N6Z"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://alice:s3cret7",
        "postgresql://alice:s3cret7/tasks",
        "postgresql://alice:s3cret7?sslmode=require",
        "postgresql://db/tasks?password=x&s3cret7=1",
        "postgresql://db/tasks?password=x&s3cret7",
        "postgresql://db/tasks?password=x@s3cret7",
        "postgresql://db/tasks?sslpassword=x&s3cret7=1",
        "postgresql://alice:x?s3cret7=y@db/tasks",
        "postgresql://alice:x/s3cret7@db/tasks",
        "postgresql://alice:x@y/s3cret7@db/tasks",
        "postgresql://alice[:s3cret7",
        "postgresql://alice:s3cret7@db:x/tasks",
        "postgresql://db/tasks?scram_client_key=s3cret7",
        "postgresql://db/tasks?oauth_client_secret=s3cret7",
        "postgresql://db/tasks?sslmode=verify-full&sslkey=-----BEGIN%0As3cret7",
    ],
)
def test_error_reveals_no_part_of_a_password(url: str) -> None:
    try:
        parameters = parse_dsn(url)
    except ConfigurationError as error:
        assert "s3cret7" not in str(error)  # noqa: PT017 - some of these can be read
    else:
        assert parameters.password != "s3cret7"
    assert "hunter2" not in repr(parse())
    assert "hunter2" not in repr(parse("sslpassword=hunter2"))


TEXT = st.text(max_size=12)


@given(
    user=TEXT,
    password=st.text(min_size=1, max_size=12).map(lambda text: f"Zq{text}qZ"),
    host=TEXT,
    query=st.lists(
        st.tuples(st.sampled_from(["sslmode", "options", "x", "port", "host"]) | TEXT, TEXT), max_size=3
    ),
    is_encoded=st.booleans(),
)
@example(user="u", password="Zq#/qZ", host="h", query=[], is_encoded=False)
@example(user="u", password="Zq?x=qZ", host="h", query=[], is_encoded=False)
def test_any_url_is_parsed_or_rejected_in_one_sentence(
    *, user: str, password: str, host: str, query: list[tuple[str, str]], is_encoded: bool
) -> None:
    encode = (lambda text: quote(text, safe="", errors="replace")) if is_encoded else str
    pairs = "&".join(f"{encode(name)}={encode(value)}" for name, value in query)
    url = f"postgresql://{encode(user)}:{encode(password)}@{encode(host)}/tasks?{pairs}"
    try:
        parameters = parse_dsn(url, variable="DATABASE_MIGRATION_URL")
    except ConfigurationError:
        parameters = None
    if parameters is None:
        said = refusal(url, variable="DATABASE_MIGRATION_URL")
        assert said.startswith("DATABASE_MIGRATION_URL")
        assert "\n" not in said
        assert not re.search(r"Zq|qZ", said)
    else:
        assert parameters.hosts
        if is_encoded and not any(name == "password" for name, _ in query):
            assert parameters.password == password


def test_error_names_the_invalid_variable() -> None:
    assert refusal(f"{URL}?sslmode=x", variable="DATABASE_URL_FILE").startswith("DATABASE_URL_FILE: sslmode")
    assert refusal(URL, environment={"PGSSLMODE": "x"}).startswith("PGSSLMODE: sslmode must be")
    assert refusal("postgresql://db/t", environment={"PGPORT": "x"}).startswith("PGPORT: port must be")
    assert refusal(URL, environment={"PGREQUIREAUTH": "md5"}).startswith("PGREQUIREAUTH: require_auth is not")


def test_libpq_variables_are_defaults_for_missing_parameters() -> None:
    environment = {
        "PGHOST": "other",
        "PGPORT": "6000",
        "PGUSER": "bob",
        "PGPASSWORD": "secret",
        "PGDATABASE": "other",
        "PGAPPNAME": "me",
        "PGSSLMODE": "require",
        "PGCONNECT_TIMEOUT": "7",
        "PGTARGETSESSIONATTRS": "primary",
        "PGOPTIONS": "-c work_mem=1MB",
    }
    parameters = parse_dsn("postgresql://", environment=environment)
    assert parameters.hosts == (Host("other", "other", 6000),)
    assert (parameters.user, parameters.password, parameters.database) == ("bob", "secret", "other")
    assert parameters.tls.mode == "require"
    assert parameters.connect_timeout_seconds == 7
    assert parameters.target_session_attrs == "primary"
    assert parameters.options == "-c work_mem=1MB"
    assert parameters.server_settings == {"application_name": "me"}
    url = f"{URL}?port=5432&sslmode=disable&target_session_attrs=any&options=&connect_timeout=&application_name="
    assert parse_dsn(url, environment=environment) == parse_dsn(url, environment={})
    assert parse_dsn(URL).tls.mode == "prefer"


def test_service_file(tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text(
        "[tasks]\nhost=other\nport=6000\npassword=p%ss\nsslmode=require\n[bad]\nnonsense_name=1\n"
    )
    environment = {"PGSERVICEFILE": str(file), "PGSSLMODE": "disable"}
    parameters = parse_dsn("postgresql:///tasks?service=tasks&user=bob", environment=environment)
    assert parameters.hosts == (Host("other", "other", 6000),)
    assert (parameters.user, parameters.password, parameters.tls.mode) == ("bob", "p%ss", "require")
    assert "nonsense_name" in refusal("postgresql://db/t?service=bad", environment=environment)
    absent = refusal(f"postgresql://db/t?service=none&servicefile={file}", environment={})
    assert (
        absent
        == "DATABASE_URL: the service cannot be read from its service file (KeyError); check servicefile or PGSERVICEFILE"
    )


def test_tls_parameters_are_ignored_on_a_unix_socket() -> None:
    parameters = parse_dsn(
        "postgresql://u@/t?host=/run/postgresql",
        environment={"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/none"},
    )
    assert parameters.tls.mode == "disable"


def test_password_file(tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    file.write_text("db:5432:tasks:alice:hunter2\n")
    url = f"postgresql://alice@db/tasks?passfile={file}"
    file.chmod(0o644)
    assert "passfile must be a file that only its owner can read" in refusal(url)
    file.chmod(0o600)
    assert (parse_dsn(url).password, parse_dsn(url).passfile) == (None, str(file))
    assert parse_dsn("postgresql://alice@db/tasks").password == ""  # nothing else is looked for
