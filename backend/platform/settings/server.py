"""Settings of the server: ports, workers, time limits, probes, CORS."""

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote

from pydantic import Field, field_validator, model_validator

from backend.platform.settings.base import SettingsGroup
from backend.platform.settings.environment import DEFAULT_HOST, DEFAULT_PORT, DEFAULT_RUN_DIR
from backend.platform.settings.types import Host, Networks, Origins, Port

__all__ = ["ServerSettings"]


class ServerSettings(SettingsGroup):
    """How the process runs and what it accepts."""

    host: Host = Field(
        DEFAULT_HOST, description="IP address or host name to listen on; `::` is every address."
    )
    port: Port = Field(DEFAULT_PORT, ge=0, le=65535, description="Public port. 0 takes a free one.")
    ops_port: Port | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port of the probes and metrics, not for the public. Unset: they are on PORT.",
    )
    root_path: str = Field(
        "",
        description="Path that a proxy serves this service under, such as `/svc`, whether it strips it or not.",
    )
    run_dir: Path = Field(
        Path(DEFAULT_RUN_DIR),
        description="Folder for the drain file and the metrics that workers share. Memory-backed is best.",
    )
    workers: int = Field(
        1, ge=1, le=64, description="Worker processes; never guessed from the machine's cores."
    )
    worker_timeout_seconds: int = Field(
        40, ge=2, le=600, description="A worker that gives no sign of life for longer is killed and replaced."
    )
    graceful_timeout_seconds: int = Field(
        25, ge=1, le=600, description="Longest time for requests to end after SIGTERM."
    )
    keep_alive_seconds: int = Field(
        75,
        ge=1,
        le=3600,
        description="How long an idle connection is kept; longer than the proxy in front does.",
    )
    max_requests: int = Field(0, ge=0, description="A worker is replaced after as many requests. 0: never.")
    max_requests_jitter: int = Field(
        0, ge=0, description="Up to as many more, at random, so that workers are not replaced together."
    )
    trusted_proxies: Networks = Field(
        ("127.0.0.1",),
        description="IP addresses or networks whose X-Forwarded-* headers are believed, comma separated; `*` is all.",
    )
    readiness_database_check: Literal["strict", "cached", "off"] = Field(
        "cached",
        description="What /readyz asks of the database: `strict` asks each time, `cached` now and then, "
        "`off` never (a database that sleeps stays asleep).",
    )
    readiness_cache_seconds: float = Field(
        30.0, ge=0, le=3600, description="How long `cached` believes a good answer of the database."
    )
    max_body_bytes: int = Field(
        1024 * 1024, ge=1024, description="Largest request body, in bytes; beyond it 413."
    )
    body_timeout_seconds: float = Field(
        15.0, gt=0, le=600, description="Longest time a client may take to send its body; beyond it 408."
    )
    allowed_origins: Origins = Field(
        ("http://localhost:3000",),
        description="Origins of browser frontends (CORS), comma separated, each `scheme://host[:port]`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level that is logged."
    )
    max_concurrent_requests: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Requests that a worker answers at once. Others wait for up to a second, then 503.",
    )
    max_concurrent_requests_per_user: int = Field(
        8,
        ge=1,
        le=100_000,
        description="Of these, requests of one user; others of theirs wait likewise, and nobody else's for them.",
    )
    request_timeout_seconds: float = Field(
        30.0, gt=0, le=600, description="Longest time for an answer; beyond it 504."
    )
    rate_limit_per_minute: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Requests of a user in a minute, for each worker; beyond it 429, a second late. 0: no limit.",
    )
    hsts_max_age_seconds: int = Field(
        31_536_000,
        ge=0,
        description="Strict-Transport-Security, sent over HTTPS only (X-Forwarded-Proto of a trusted proxy). 0: none.",
    )

    fault_error_rate: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of requests to /api that fail with 500 on purpose, to try alerts. Development only.",
    )
    fault_latency_seconds: float = Field(
        0.0,
        ge=0,
        le=60,
        description="Delay of each request to /api, on purpose. Development only.",
    )

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        if path and not re.fullmatch(r"/[^?#\s]*", path):
            raise ValueError("must be a path that begins with a slash, such as /svc")
        if unquote(path).strip("/").partition("/")[0] == "api":
            raise ValueError("must not be /api or lie below it: the service's own paths begin with /api")
        return path

    @model_validator(mode="after")
    def _check_process(self) -> Self:
        if self.injects_faults and self.environment == "production":
            raise ValueError(
                "FAULT_ERROR_RATE and FAULT_LATENCY_SECONDS must be 0 unless ENVIRONMENT=development"
            )
        if self.max_requests_jitter and not self.max_requests:
            raise ValueError("MAX_REQUESTS_JITTER is of use only with MAX_REQUESTS")
        if self.ops_port is not None and self.ops_port == self.port:
            raise ValueError("OPS_PORT must not be PORT; leave it unset to have one port")
        return self

    @property
    def injects_faults(self) -> bool:
        """Whether requests fail or wait on purpose."""
        return self.fault_error_rate > 0 or self.fault_latency_seconds > 0
