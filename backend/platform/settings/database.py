"""Database settings; a migration needs no other group."""

import re
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from backend.platform.settings.base import SettingsGroup
from backend.platform.settings.secrets import read_secret

__all__ = ["DatabaseSettings"]

_BEFORE_URL: Final = re.compile(r"[\s,]+(?=postgres[\w+]*://|$)")


class DatabaseSettings(SettingsGroup):
    """URLs of the database, pool sizes and time limits."""

    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL URL of the service; see docs/operations.md. Unset in development: the service starts "
        "an embedded PostgreSQL.",
    )
    database_url_file: Path | None = Field(
        None,
        description="File that contains DATABASE_URL; it takes precedence over the variable. The file is read for "
        "each new connection, so a rotated URL needs no restart.",
    )
    database_migration_url: SecretStr | None = Field(
        None,
        description="PostgreSQL URL for migrations: a direct connection, as the role that owns the tables. "
        "Set it where DATABASE_URL leads to a pooler. Unset: DATABASE_URL.",
    )
    database_migration_url_file: Path | None = Field(
        None,
        description="File that contains DATABASE_MIGRATION_URL; it takes precedence over the variable.",
    )
    database_shard_urls: SecretStr | None = Field(
        None,
        description="PostgreSQL URLs of the shards behind a router, separated by commas: direct connections, "
        "as the role that owns the tables. `migrate` and `purge-idempotency-keys` run on each. Keep their order, and "
        "add new shards at the end.",
    )
    database_shard_urls_file: Path | None = Field(
        None,
        description="File that contains DATABASE_SHARD_URLS, separated by commas or line breaks; it takes precedence over the variable.",
    )
    database_pooler: Literal["auto", "none", "session", "spqr", "transaction"] = Field(
        "auto",
        description="Mode of the connection pooler in front of PostgreSQL. `transaction` disables prepared statements. "
        "`spqr` is a router of shards (docs/operations.md). "
        "`auto` selects `transaction` for `pgbouncer=true` in the URL and for the poolers of Neon, Prisma and "
        "Supabase (port 6543), `session` for Supabase's other pooler ports, else `none`.",
    )
    database_pool_prewarm_size: int = Field(
        10,
        ge=0,
        le=1000,
        description="Connections that each worker opens at start. It is not a minimum size: idle connections are closed. "
        "Must not exceed DATABASE_POOL_MAX_SIZE.",
    )
    database_pool_max_size: int = Field(
        30,
        ge=1,
        le=1000,
        description="Maximum number of connections per worker. The service opens up to WORKERS times as many.",
    )
    database_pool_acquire_timeout_seconds: float = Field(
        1.5,
        gt=0,
        le=60,
        description="Seconds that a request waits for a connection, including the time to open one; then it gets 503. "
        "`connect_timeout` in the URL limits the opening instead.",
    )
    database_connection_max_idle_seconds: float = Field(
        300.0,
        ge=0,
        description="Seconds after which an idle connection is closed. 0 keeps it open.",
    )
    database_statement_timeout_seconds: float = Field(
        5.0,
        gt=0,
        le=600,
        description="Seconds that a statement may run (PostgreSQL's `statement_timeout`). Then PostgreSQL cancels it and "
        "the request gets 504.",
    )
    database_lock_timeout_seconds: float = Field(
        2.0,
        gt=0,
        le=600,
        description="Seconds that a statement may wait for a lock (PostgreSQL's `lock_timeout`); then the request "
        "gets 504.",
    )

    users_table_owner: Literal["auto", "frontend", "service"] = Field(
        "auto",
        description="Application that inserts rows into `users`. `frontend`: the service never does, and creating a "
        "task with a token whose user has no row gets 401. `service`: the service inserts a missing row with the "
        "user's id. `auto`: `frontend` if `users` has other columns than the service's migration creates or if a "
        "table of another application (Better Auth's `session`) has a foreign key to it, else `service`.",
    )

    @model_validator(mode="after")
    def _check_database(self) -> Self:
        if self.database_pool_prewarm_size > self.database_pool_max_size:
            raise ValueError("DATABASE_POOL_PREWARM_SIZE must not exceed DATABASE_POOL_MAX_SIZE")
        if self.environment == "production" and self.uses_embedded_database:
            raise ValueError("DATABASE_URL or DATABASE_URL_FILE must be set unless ENVIRONMENT=development")
        return self

    @property
    def may_write_users(self) -> bool:
        """Whether the service's role needs the INSERT privilege on `users`."""
        return self.users_table_owner != "frontend"

    @property
    def uses_embedded_database(self) -> bool:
        """Whether the service starts the embedded PostgreSQL: DATABASE_URL is unset (development only)."""
        return self.database_url is None and self.database_url_file is None

    def current_database_url(self) -> str | None:
        """Return the current PostgreSQL URL, None for the embedded PostgreSQL."""
        return read_secret("DATABASE_URL", self.database_url, self.database_url_file)

    def current_shard_urls(self) -> list[str]:
        """Return the URLs of the shards in order; none without DATABASE_SHARD_URLS."""
        text = read_secret("DATABASE_SHARD_URLS", self.database_shard_urls, self.database_shard_urls_file)
        # A URL may contain commas, between its hosts.
        return [url for url in _BEFORE_URL.split(text or "") if url]

    def current_migration_url(self) -> str | None:
        """Return the URL for migrations: DATABASE_MIGRATION_URL, else DATABASE_URL."""
        migration_url = read_secret(
            "DATABASE_MIGRATION_URL", self.database_migration_url, self.database_migration_url_file
        )
        return migration_url or self.current_database_url()
