"""libpq's parameters as text, before validation."""

from collections.abc import Iterable
from typing import Final, NoReturn

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.tls import SSL_MODES

__all__ = ["FALSE_VALUES", "ParameterValues"]

FALSE_VALUES: Final = frozenset({"0", "false", "no", "off"})
"""Spellings of false, in lower case."""


class ParameterValues:
    """Values by libpq's parameter names, each with the variable that provided it.

    Args:
        variable: Variable that contains the URL.
        reads_environment: Whether libpq's variables and files provide missing values.
    """

    def __init__(self, variable: str, *, reads_environment: bool) -> None:
        self.variable = variable
        self.reads_environment = reads_environment
        self.server_settings: dict[str, str] = {}
        self.min_sslmode: str | None = None
        """The weakest `sslmode` that other drivers' parameters permit."""
        self.has_transaction_pooler = False
        self._values: dict[str, str] = {}
        self._variables: dict[str, str] = {}

    def set(self, name: str, value: str, variable: str | None = None) -> None:
        """Set a value. An empty value selects the default, as in libpq."""
        self._values[name] = value
        self._variables[name] = variable or self.variable

    def has(self, name: str) -> bool:
        """Return whether a parameter is given, even if it is empty."""
        return name in self._values

    def get(self, name: str) -> str | None:
        """Return a value, None if it is missing or empty."""
        return self._values.get(name) or None

    def variable_of(self, name: str) -> str:
        """Return the variable that provided a value; the URL's variable if it is missing."""
        return self._variables.get(name, self.variable)

    def split_list(self, name: str) -> list[str]:
        """Return the elements of a comma-separated list; an empty list if the value is missing or empty."""
        value = self.get(name)
        return value.split(",") if value else []

    def choice(self, name: str, allowed: Iterable[str], default: str) -> str:
        """Return a value that must be one of the allowed ones."""
        value = self.get(name) or default
        if value not in (names := list(allowed)):
            self.fail(name, f"must be {', '.join(names[:-1])} or {names[-1]}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a value that must be 0 or 1."""
        return self.choice(name, ("0", "1"), str(int(default))) == "1"

    def require_at_least(self, mode: str) -> None:
        """Require an `sslmode` at least as strong as this one."""
        self.min_sslmode = max(self.min_sslmode or "disable", mode, key=SSL_MODES.index)

    def fail(self, name: str, text: str) -> NoReturn:
        """Reject a parameter.

        Args:
            name: Parameter name.
            text: Rest of the message: the rule that the value breaks, and the remedy.

        Raises:
            ConfigurationError: Always; the message starts with the variable.
        """
        raise ConfigurationError(f"{self.variable_of(name)}: {name} {text}") from None
