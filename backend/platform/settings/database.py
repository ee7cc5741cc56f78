"""The settings of the database: all that a migration needs to be given."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from backend.platform.settings.base import SettingsGroup
from backend.platform.settings.secrets import read_secret

__all__ = ["DatabaseSettings"]


class DatabaseSettings(SettingsGroup):
    """Where the database is and how it is used."""

    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL URL, see docs/operations.md. Unset in development: an embedded PostgreSQL.",
    )
    database_url_file: Path | None = Field(
        None, description="File that holds DATABASE_URL; read again when it changes."
    )
    database_migration_url: SecretStr | None = Field(
        None, description="Direct URL and role for migrations, where DATABASE_URL leads to a pooler."
    )
    database_migration_url_file: Path | None = Field(
        None, description="File that holds DATABASE_MIGRATION_URL."
    )
    database_pooler: Literal["auto", "none", "session", "transaction"] = Field(
        "auto",
        description="Pooler in front of PostgreSQL; `transaction` turns off prepared statements. `auto` means "
        "`transaction` for `pgbouncer=true` in the URL and for the poolers of Neon, Supabase and Prisma, else `none`.",
    )
    database_pool_prewarm_size: int = Field(
        10,
        ge=0,
        le=1000,
        description="Connections that a worker opens when it starts. No minimum: idle ones close later.",
    )
    database_pool_max_size: int = Field(30, ge=1, le=1000, description="Most connections of a worker.")
    database_pool_acquire_timeout_seconds: float = Field(
        1.5,
        gt=0,
        le=60,
        description="Longest wait for a connection; beyond it 503. `connect_timeout` in the URL holds for new ones.",
    )
    database_connection_max_idle_seconds: float = Field(
        300.0, ge=0, description="A connection idle for longer is replaced. 0 keeps it for ever."
    )
    database_statement_timeout_seconds: float = Field(
        5.0,
        gt=0,
        le=600,
        description="Longest statement; beyond it PostgreSQL cancels it and the answer is 504.",
    )
    database_lock_timeout_seconds: float = Field(
        2.0, gt=0, le=600, description="Longest wait of a statement for a lock; beyond it 504."
    )

    users_table_owner: Literal["auto", "frontend", "service"] = Field(
        "auto",
        description="Who writes the rows of `users`. `frontend`: nobody else, and a token whose user has no row is "
        "refused. `service`: a missing row is written from the user's id. `auto`: the frontend, where `users` has "
        "other columns than the service gives it, or a foreign key of another table (Better Auth's `session`).",
    )

    @model_validator(mode="after")
    def _check_database(self) -> Self:
        if self.database_pool_prewarm_size > self.database_pool_max_size:
            raise ValueError("DATABASE_POOL_PREWARM_SIZE must not exceed DATABASE_POOL_MAX_SIZE")
        if self.environment == "production" and self.uses_embedded_database:
            raise ValueError("DATABASE_URL (or DATABASE_URL_FILE) must be set unless ENVIRONMENT=development")
        return self

    @property
    def may_write_users(self) -> bool:
        """Whether the service's role needs a right on `users`."""
        return self.users_table_owner != "frontend"

    @property
    def uses_embedded_database(self) -> bool:
        """Whether the service runs its own PostgreSQL, as in development without DATABASE_URL."""
        return self.database_url is None and self.database_url_file is None

    def current_database_url(self) -> str | None:
        """Return the PostgreSQL URL in force now, or None for the embedded one."""
        return read_secret("DATABASE_URL", self.database_url, self.database_url_file)

    def current_migration_url(self) -> str | None:
        """Return the URL for migrations: DATABASE_MIGRATION_URL, else DATABASE_URL."""
        own = read_secret(
            "DATABASE_MIGRATION_URL", self.database_migration_url, self.database_migration_url_file
        )
        return own or self.current_database_url()
