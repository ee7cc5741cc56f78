"""libpq's parameters as text, before they are checked."""

from collections.abc import Iterable
from typing import NoReturn

from backend.platform.errors import ConfigurationError
from backend.platform.postgres.tls import SSL_MODES

__all__ = ["ParameterValues"]


class ParameterValues:
    """Values by libpq's names, each with the variable that it came from.

    Args:
        variable: That of the URL.
        reads_environment: Whether what is missing may come from libpq's variables and files.
    """

    def __init__(self, variable: str, *, reads_environment: bool) -> None:
        self.variable = variable
        self.reads_environment = reads_environment
        self.server_settings: dict[str, str] = {}
        self.least_sslmode: str | None = None
        """Asked for in another client's words."""
        self.says_transaction_pooler = False
        self._values: dict[str, str] = {}
        self._variables: dict[str, str] = {}

    def set(self, name: str, value: str, variable: str | None = None) -> None:
        """Store a value; an empty one stands for the default, as in libpq."""
        self._values[name] = value
        self._variables[name] = variable or self.variable

    def has(self, name: str) -> bool:
        """Tell whether a parameter was given, be it empty."""
        return name in self._values

    def get(self, name: str) -> str | None:
        """Return a value, None where it is missing or empty."""
        return self._values.get(name) or None

    def variable_of(self, name: str) -> str:
        """Return where a value came from; the URL's variable where it is missing."""
        return self._variables.get(name, self.variable)

    def items_of(self, name: str) -> list[str]:
        """Return the parts of a list with commas; none where it is missing or empty."""
        value = self.get(name)
        return value.split(",") if value else []

    def choice(self, name: str, allowed: Iterable[str], default: str) -> str:
        """Return a value that must be one of several."""
        value = self.get(name) or default
        if value not in (names := list(allowed)):
            self.fail(name, f"must be {', '.join(names[:-1])} or {names[-1]}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a value that must be 0 or 1."""
        return self.choice(name, ("0", "1"), str(int(default))) == "1"

    def require_at_least(self, mode: str) -> None:
        """Ask for an `sslmode` that is not weaker than this one."""
        self.least_sslmode = max(self.least_sslmode or "disable", mode, key=SSL_MODES.index)

    def fail(self, name: str, text: str) -> NoReturn:
        """Refuse a parameter.

        Raises:
            ConfigurationError: Always; the text begins with the variable.
        """
        raise ConfigurationError(f"{self.variable_of(name)}: {name} {text}") from None
