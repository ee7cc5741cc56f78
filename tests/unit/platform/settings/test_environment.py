"""Variables are read from the environment, then from `.env`, without invisible characters."""

from pathlib import Path

import pytest

from backend.platform.errors import ConfigurationError
from backend.platform.settings import environment
from backend.platform.settings.environment import read_variables


@pytest.fixture
def env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / ".env"
    monkeypatch.setattr(environment, "ENV_FILE", file)
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_env_file_is_read_with_and_without_byte_order_mark(env_file: Path, encoding: str) -> None:
    env_file.write_text("PORT=9000\r\nHOST='::'\r\nUNKNOWN=1\r\n", encoding=encoding)
    assert read_variables(("port", "host")) == {"port": "9000", "host": "::"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_env_file_in_another_encoding_is_rejected(env_file: Path, encoding: str) -> None:
    env_file.write_text("# Größe\nPORT=9000\n", encoding=encoding)
    with pytest.raises(ConfigurationError, match=r"\.env is not encoded in UTF-8"):
        read_variables(("port",))


def test_missing_env_file_and_a_directory_of_that_name_are_ignored(env_file: Path) -> None:
    assert read_variables(("port",)) == {}
    env_file.mkdir()
    assert read_variables(("port",)) == {}


def test_unreadable_env_file_is_rejected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "ENV_FILE", tmp_path / ("x" * 300))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_variables(("port",))


def test_nonempty_environment_variable_takes_precedence_over_the_file(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.write_text("PORT=1\nhost=a\nRUN_DIR=b\n")
    monkeypatch.setenv("PORT", "2")
    monkeypatch.setenv("HOST", " ")
    assert read_variables(("port", "host", "run_dir")) == {"port": "2", "host": "a", "run_dir": "b"}


def test_upper_case_takes_precedence_over_other_spellings_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("port", "2")
    assert read_variables(("port",)) == {"port": "1"}


@pytest.mark.parametrize("text", [" 9000", "9000\n", "\ufeff9000", "\u200b9000\u00a0", "\t9000\r\n"])
def test_invisible_characters_around_a_value_are_removed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PORT", text)
    assert read_variables(("port",)) == {"port": "9000"}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("PORT", '"9000"', "PORT is enclosed in quotation marks; remove them"),
        ("BETTER_AUTH_URL", "“https://a.example”", "BETTER_AUTH_URL is enclosed in quotation marks"),
        ("DATABASE_URL", "postgresql://h/a\nb", "DATABASE_URL contains an invisible character (U+000A)"),
        (
            "ALLOWED_ORIGINS",
            "https://a\u200b.example",
            "ALLOWED_ORIGINS contains an invisible character (U+200B)",
        ),
        ("DATA_DIR", "a\nb", "DATA_DIR contains an invisible character (U+000A)"),
        ("HOST", "a\udcff", "HOST is not encoded in UTF-8"),
        ("BETTER_AUTH_SECRET", "s" * 32 + "\n", "BETTER_AUTH_SECRET has white space at its start or end"),
    ],
)
def test_value_with_quotes_or_invisible_characters_is_rejected(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, sentence: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError) as refusal:
        read_variables((name.lower(),))
    assert str(refusal.value).startswith(sentence)


def test_path_may_contain_any_character_of_a_file_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/srv/\N{MAN}\u200d\N{WOMAN}\udcff")
    assert read_variables(("data_dir",)) == {"data_dir": "/srv/\N{MAN}\u200d\N{WOMAN}\udcff"}
