"""The commands that need neither a database nor a process of their own."""

from pathlib import Path

import pytest
from jose import jwt
from typer.testing import CliRunner

from backend.cli import app
from backend.config import Settings
from backend.platform.errors import ConfigurationError
from backend.platform.settings.report import settings_table

ROOT = Path(__file__).parents[2]
RUNNER = CliRunner()


def test_dev_is_for_development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/tasks")
    monkeypatch.setenv("BETTER_AUTH_SECRET", "x" * 32)
    for command in ("dev", "token"):
        result = RUNNER.invoke(app, [command])
        assert isinstance(result.exception, ConfigurationError)
        assert "development" in str(result.exception)


def test_config_masks_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@db/tasks")
    monkeypatch.setenv("BETTER_AUTH_JWKS_URL", "https://u:hunter2@a.example/jwks?key=hunter2")
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example,https://b.example")
    result = RUNNER.invoke(app, ["config"])
    assert "DATABASE_URL=**********" in result.output
    assert "ALLOWED_ORIGINS=https://a.example,https://b.example" in result.output
    assert "hunter2" not in result.output


def test_every_variable_is_described() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page.endswith("\n".join(settings_table(Settings)) + "\n"), "run `make docs`"
    assert RUNNER.invoke(app, ["config", "--table"]).output == "\n".join(settings_table(Settings)) + "\n"


def test_openapi_is_the_stored_copy() -> None:
    assert RUNNER.invoke(app, ["openapi"]).output == (ROOT / "docs" / "openapi.json").read_text(), (
        "run `make docs`"
    )


@pytest.mark.parametrize("command", ["seed", "token", "loadtest"])
def test_commands_of_development_are_refused_in_production(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere.invalid/tasks")
    monkeypatch.setenv("BETTER_AUTH_SECRET", "a-secret-of-production-of-32-or-more-characters")
    result = RUNNER.invoke(app, [command])
    assert isinstance(result.exception, ConfigurationError)
    assert "development" in str(result.exception)


def test_token_lasts_as_long_as_was_said() -> None:
    result = RUNNER.invoke(app, ["token", "--user", "alice", "--expires", "15m"])
    claims = jwt.get_unverified_claims(result.stdout.strip())
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("alice", 900)
