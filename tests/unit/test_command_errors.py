"""A wrong configuration stops every command with one sentence that names the variable."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend import cli, main
from backend.cli import app
from backend.platform.errors import ConfigurationError
from backend.platform.postgres.idempotency_purge import PurgeTimeout
from backend.platform.postgres.rollout import MigrationFailed, SchemaWaitTimeout
from tests.support.logs import restored_logging

RUNNER = CliRunner()
URL = "postgresql://alice:hun/ter2@db.example.com/tasks?sslmode=require"
SENTENCE = (
    "cannot be read; percent-encode special characters in user and password"
    " (%40 for @, %2F for /, %3F for ?, %25 for %)"
)


def error_of(command: str) -> str:
    """Run a command and return its error; it must not print anything else."""
    result = RUNNER.invoke(app, command.split())
    assert isinstance(result.exception, ConfigurationError)  # `main` makes exit code 2 of it
    assert result.output == ""
    return str(result.exception)


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "dev",
        "migrate",
        "wait-for-schema",
        "purge-idempotency-keys",
        "seed",
        "config",
        "dev --reload",
    ],
)
def test_invalid_url_stops_the_command(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("PORT", "0")
    assert error_of(command) == f"DATABASE_URL {SENTENCE}"


@pytest.mark.parametrize(
    "command", ["migrate", "wait-for-schema", "purge-idempotency-keys", "config", "serve"]
)
def test_sentence_names_the_variable(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://alice@db/tasks")
    monkeypatch.setenv("DATABASE_MIGRATION_URL", URL)
    assert error_of(command) == f"DATABASE_MIGRATION_URL {SENTENCE}"
    (tmp_path / "url").write_text(f"{URL}\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert error_of(command) == f"DATABASE_URL_FILE {SENTENCE}"


@pytest.mark.parametrize(
    "command", ["migrate", "wait-for-schema", "purge-idempotency-keys", "config", "serve"]
)
def test_missing_root_certificate_stops_the_command(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://alice:hunter2@db/tasks?sslmode=verify-full")
    assert error_of(command).startswith("DATABASE_URL: sslmode=verify-full needs a root certificate")


def test_reload_and_port_exclude_each_other() -> None:
    result = RUNNER.invoke(app, ["dev", "--reload", "--port", "8001"])
    assert result.exit_code == 2
    assert "set the variable PORT" in result.output


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["migrate", "--timeout", "-1"], "--timeout"),
        (["wait-for-schema", "--timeout", "soon"], "--timeout"),
        (["token", "--expires", "soon"], "--expires"),
        (["seed", "--users", "0"], "--users"),
        (["seed", "--tasks", "10001"], "--tasks"),
        (["loadtest", "--clients", "501"], "--clients"),
        (["dev", "--debug-port", "65536"], "--debug-port"),
    ],
)
def test_invalid_argument_is_a_usage_error(arguments: list[str], name: str) -> None:
    result = RUNNER.invoke(app, arguments)
    assert (result.exit_code, name in result.output) == (2, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [(SchemaWaitTimeout, 1), (PurgeTimeout, 1), (ConfigurationError, 2), (MigrationFailed, 3)],
)
def test_expected_error_ends_with_its_exit_code_and_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: type[Exception], code: int
) -> None:
    def fail() -> None:
        raise error("It went wrong.")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # `main` is for a process of its own
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    assert (end.value.code, said.out, said.err) == (code, "", "task-service: It went wrong.\n")


def test_wait_for_schema_does_not_wait_for_the_embedded_database() -> None:
    result = RUNNER.invoke(app, ["wait-for-schema"])  # `serve` migrates that one
    assert (result.exit_code, result.output) == (0, "")


def test_server_that_imports_the_application_ends_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    with restored_logging(), pytest.raises(SystemExit) as end:
        _ = main.app
    assert (end.value.code, capsys.readouterr().err) == (2, f"task-service: DATABASE_URL {SENTENCE}\n")


def test_module_of_the_application_has_no_other_lazy_attribute() -> None:
    with pytest.raises(AttributeError, match="application"):
        _ = main.application
