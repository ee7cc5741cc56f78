"""Settings parse as people write them, and refuse in one sentence that names the variable."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.config import Settings, load_settings
from backend.platform.errors import ConfigurationError
from backend.platform.settings.secrets import development_secret

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdef" * 2
PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://db/tasks",
    "BETTER_AUTH_SECRET": SECRET,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def load(environment: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        environment.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (
            "http://localhost:3000,https://app.example.com",
            ("http://localhost:3000", "https://app.example.com"),
        ),
        (
            " http://localhost:3000 , https://app.example.com/ ,",
            ("http://localhost:3000", "https://app.example.com"),
        ),
        ("https://[::1]:8443", ("https://[::1]:8443",)),
    ],
)
def test_origins_as_people_write_them(
    environment: pytest.MonkeyPatch, written: str, read: tuple[str, ...]
) -> None:
    assert load(environment, ALLOWED_ORIGINS=written).allowed_origins == read


def test_empty_variable_is_as_good_as_none(environment: pytest.MonkeyPatch) -> None:
    assert load(environment, ALLOWED_ORIGINS="", DATABASE_URL="").allowed_origins == (
        "http://localhost:3000",
    )


def test_production_allows_no_origin_by_default(environment: pytest.MonkeyPatch) -> None:
    assert load(environment, **PRODUCTION).allowed_origins == ()


def test_env_file_is_read(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.chdir(tmp_path)
    (tmp_path / ".env").write_text("LOG_LEVEL=WARNING\nUNKNOWN=1\n")
    environment.setattr("backend.platform.settings.environment.ENV_FILE", Path(".env"))
    assert load_settings().log_level == "WARNING"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"ALLOWED_ORIGINS": "*"},
            "ALLOWED_ORIGINS: a wildcard is not allowed with credentials; list each origin",
        ),
        (
            {"ALLOWED_ORIGINS": "app.example.com"},
            "ALLOWED_ORIGINS: 'app.example.com' is not an origin; write scheme",
        ),
        (
            {"ALLOWED_ORIGINS": "https://a.example/path"},
            "ALLOWED_ORIGINS: 'https://a.example/path' is not an origin",
        ),
        ({"BETTER_AUTH_SECRET": "short"}, "BETTER_AUTH_SECRET has 5 characters; it needs at least 32"),
        ({"BETTER_AUTH_SECRET_FILE": "/nowhere"}, "BETTER_AUTH_SECRET_FILE: /nowhere cannot be read"),
        ({"BETTER_AUTH_URL": "app.example.com"}, "BETTER_AUTH_URL: must be an http or https URL"),
        (
            {"BETTER_AUTH_URL": "https://app.example.com:https"},
            "BETTER_AUTH_URL: must be an http or https URL",
        ),
        ({"PORT": "99999"}, "PORT: must be a port number from 0 to 65535"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ({"MAX_REQUESTS_JITTER": "5"}, "MAX_REQUESTS_JITTER has no effect without MAX_REQUESTS"),
        ({"PORT": "9000", "OPS_PORT": "9000"}, "OPS_PORT must differ from PORT"),
        (
            {"DATABASE_POOL_PREWARM_SIZE": "31"},
            "DATABASE_POOL_PREWARM_SIZE must not exceed DATABASE_POOL_MAX_SIZE",
        ),
        (
            {**PRODUCTION, "FAULT_ERROR_RATE": "0.1"},
            "FAULT_ERROR_RATE and FAULT_LATENCY_SECONDS must be 0 unless ENVIRONMENT=development",
        ),
        (
            {**PRODUCTION, "FAULT_LATENCY_SECONDS": "1"},
            "FAULT_ERROR_RATE and FAULT_LATENCY_SECONDS must be 0 unless ENVIRONMENT=development",
        ),
        ({"FAULT_ERROR_RATE": "1.1"}, "FAULT_ERROR_RATE: Input should be less than or equal to 1"),
        ({**PRODUCTION, "DATABASE_URL": ""}, "DATABASE_URL or DATABASE_URL_FILE must be set"),
        (
            {**PRODUCTION, "BETTER_AUTH_SECRET": ""},
            "BETTER_AUTH_URL, BETTER_AUTH_SECRET or BETTER_AUTH_SECRET_FILE must be",
        ),
        ({**PRODUCTION, "BETTER_AUTH_SECRET": "x" * 31}, "BETTER_AUTH_SECRET has 31 characters"),
        ({**PRODUCTION, "ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS: a wildcard"),
    ],
)
def test_impossible_setting_is_refused(
    environment: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(environment, **variables)
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)


def test_production_with_a_key_set_needs_no_secret(environment: pytest.MonkeyPatch) -> None:
    settings = load(
        environment, **{**PRODUCTION, "BETTER_AUTH_SECRET": ""}, BETTER_AUTH_URL="https://app.example.com"
    )
    assert settings.uses_jwks


def test_secret_file_is_read_again_at_each_use(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    settings = load(environment, BETTER_AUTH_SECRET_FILE=str(file), BETTER_AUTH_SECRET="x" * 40)
    assert settings.signing_secret() == SECRET
    file.write_text(SECRET[::-1])
    assert settings.signing_secret() == SECRET[::-1]


def test_migrations_take_their_own_address_first(environment: pytest.MonkeyPatch) -> None:
    settings = load(environment, DATABASE_URL="postgresql://pooler/tasks")
    assert settings.current_migration_url() == "postgresql://pooler/tasks"
    settings = load(environment, DATABASE_MIGRATION_URL="postgresql://direct/tasks")
    assert settings.current_migration_url() == "postgresql://direct/tasks"
    assert settings.current_database_url() == "postgresql://pooler/tasks"


def test_shard_urls_are_separated_by_commas_that_a_url_may_contain_as_well(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = "postgresql://a,b:5433/tasks?options=-c%20x%3D1,2", "postgres://c/tasks"
    settings = load(environment, DATABASE_SHARD_URLS=f"{first},{second}")
    assert settings.current_shard_urls() == [first, second]
    (tmp_path / "urls").write_text(f"{first}\n{second},\n")
    settings = load(environment, DATABASE_SHARD_URLS_FILE=str(tmp_path / "urls"))
    assert settings.current_shard_urls() == [first, second]
    environment.delenv("DATABASE_SHARD_URLS")
    environment.delenv("DATABASE_SHARD_URLS_FILE")
    assert load(environment).current_shard_urls() == []


def test_development_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: development_secret(tmp_path / "data"), range(32)))
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 32
    (file,) = (tmp_path / "data").iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_settings_never_show_a_secret(environment: pytest.MonkeyPatch) -> None:
    settings = load(environment, DATABASE_URL="postgresql://u:hunter2@db/tasks", BETTER_AUTH_SECRET=SECRET)
    assert not re.search(f"hunter2|{SECRET}", repr(settings) + str(settings.model_dump(mode="json")))


GARBAGE = ("", " ", "\ufeff", "abc", "-1", "nan", "inf", "1e400", "9" * 400, "[]", '["a"]', "{}", "null", "true", "*", "a,b", "'",
    '"1"', "https://u:hunter2@[::1", "://", "http://", "/", "../..", "\x7f", "a\nb", "\u200b1", "\udcff", "１２", "%00", "~")  # fmt: skip


def refusal_of_settings() -> str | None:
    try:
        load_settings()
    except ConfigurationError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_any_value_is_read_or_refused_in_one_sentence(
    environment: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    environment.chdir(tmp_path)
    for value in GARBAGE:
        with environment.context() as each:
            each.setenv("DATA_DIR", str(tmp_path / "data"))
            each.setenv(name, value)
            sentence = refusal_of_settings()
        if sentence is not None:
            assert name.removesuffix("_FILE") in sentence or name == "DATA_DIR"
            assert "\n" not in sentence
            assert "hunter2" not in sentence or name.endswith("_FILE")


def test_the_example_of_the_frontends_page_is_accepted(environment: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "frontend.md").read_text()
    (example,) = re.findall(r"`ALLOWED_ORIGINS=([^`]+)`", page)
    origins = load(environment, ALLOWED_ORIGINS=example).allowed_origins
    assert origins == ("https://app.example.com", "https://admin.example.com")


@pytest.mark.parametrize("kind", ["file", "folder", "short"])
def test_a_development_secret_that_cannot_be_had_is_one_sentence(tmp_path: Path, kind: str) -> None:
    data = tmp_path / "data"
    if kind == "file":
        data.write_text("")
    else:
        data.mkdir()
        (data / "development-secret").mkdir() if kind == "folder" else (
            data / "development-secret"
        ).write_text("x")
    with pytest.raises(ConfigurationError, match="development secret") as refusal:
        development_secret(data)
    assert "\n" not in str(refusal.value)


def test_example_names_only_real_variables() -> None:
    named = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(named) > 4
    compose = {"COMPOSE_PROFILES", *re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text())}
    assert set(named) <= {name.upper() for name in Settings.model_fields} | compose
