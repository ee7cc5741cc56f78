"""Server settings: ports, workers, time limits, probes, CORS."""

import re
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote

from pydantic import Field, field_validator, model_validator

from backend.platform.settings.environment import DEFAULT_HOST, DEFAULT_PORT, DEFAULT_RUN_DIR
from backend.platform.settings.fast_paths import FastPathSettings
from backend.platform.settings.types import Host, Networks, Origins, Port

__all__ = ["ServerSettings"]


def _default_origins(data: dict[str, Any]) -> tuple[str, ...]:
    return () if data.get("environment") == "production" else ("http://localhost:3000",)


class ServerSettings(FastPathSettings):
    """Process model and HTTP limits."""

    host: Host = Field(
        DEFAULT_HOST,
        description="IP address or host name to listen on. `::` listens on all IPv4 and IPv6 addresses.",
    )
    port: Port = Field(
        DEFAULT_PORT, ge=0, le=65535, description="TCP port of the API. 0 selects a free port."
    )
    ops_port: Port | None = Field(
        None,
        ge=1,
        le=65535,
        description="TCP port of probes and metrics; do not expose it to the public. Unset: PORT serves them.",
    )
    root_path: str = Field(
        "",
        description="Path prefix under which a proxy publishes the service, such as `/svc`. The proxy may strip it or not.",
    )
    run_dir: Path = Field(
        Path(DEFAULT_RUN_DIR),
        description="Directory of the drain marker and of the metrics files that workers share. A memory-backed file "
        "system (tmpfs) is best.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of worker processes. It is not derived from the number of CPU cores.",
    )
    worker_timeout_seconds: int = Field(
        40,
        ge=2,
        le=600,
        description="Seconds without a heartbeat after which a worker is killed and replaced.",
    )
    graceful_timeout_seconds: int = Field(
        25,
        ge=1,
        le=600,
        description="Seconds that requests in flight have after SIGTERM; then their connections are closed.",
    )
    keep_alive_seconds: int = Field(
        75,
        ge=1,
        le=3600,
        description="Seconds after which an idle client connection is closed. Set it higher than the idle timeout of the "
        "proxy in front.",
    )
    max_requests: int = Field(
        0, ge=0, description="Number of requests after which a worker is replaced. 0 disables replacement."
    )
    max_requests_jitter: int = Field(
        0,
        ge=0,
        description="Upper bound of a random number that is added to MAX_REQUESTS for each worker, so that workers "
        "are not replaced at the same time.",
    )
    trusted_proxies: Networks = Field(
        ("127.0.0.1",),
        description="IP addresses and networks (CIDR) whose X-Forwarded-* headers are trusted, comma separated. `*` trusts "
        "all.",
    )
    readiness_database_check: Literal["strict", "cached", "off"] = Field(
        "cached",
        description="How /readyz checks the database. `strict` queries it on every probe. `cached` skips the query for "
        "READINESS_CACHE_SECONDS after a successful one. `off` never queries it, so a suspended database (Neon) stays "
        "suspended.",
    )
    readiness_cache_seconds: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="Seconds for which `cached` reuses a successful check. A failed check is repeated on every probe.",
    )
    max_body_bytes: int = Field(
        1024 * 1024, ge=1024, description="Maximum size of a request body in bytes. A larger one gets 413."
    )
    body_timeout_seconds: float = Field(
        15.0,
        gt=0,
        le=600,
        description="Seconds that a client may take to send a request body; then the request gets 408.",
    )
    allowed_origins: Origins = Field(
        default_factory=_default_origins,
        description="Origins of browser frontends that CORS allows, comma separated, each `scheme://host[:port]`. A frontend "
        "on the same host and port needs none. The default in production is none.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`."
    )
    max_concurrent_requests: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Concurrent authenticated requests per worker. Excess requests queue for up to 1 s, then get 503.",
    )
    max_concurrent_requests_per_user: int = Field(
        8,
        ge=1,
        le=100_000,
        description="Concurrent requests per user and worker. Excess requests queue for up to 1 s without delaying other "
        "users, then get 503.",
    )
    request_timeout_seconds: float = Field(
        30.0,
        gt=0,
        le=600,
        description="Seconds that a request may take after it has left the queue; then it is cancelled and gets 504.",
    )
    hsts_max_age_seconds: int = Field(
        31_536_000,
        ge=0,
        description="`max-age` of Strict-Transport-Security in seconds. The header is sent over HTTPS only, which a trusted "
        "proxy reports by X-Forwarded-Proto. 0 omits the header.",
    )

    fault_error_rate: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Fault injection: share of requests to /api that fail with 500. Development only.",
    )
    fault_latency_seconds: float = Field(
        0.0,
        ge=0,
        le=60,
        description="Fault injection: seconds by which each request to /api is delayed. Development only.",
    )

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        if path and not re.fullmatch(r"/[^?#\s]*", path):
            raise ValueError("must be a path that starts with a slash, such as /svc")
        if unquote(path).strip("/").partition("/")[0] == "api":
            raise ValueError(
                "must not be /api or a path below it, which the service uses itself; choose another prefix"
            )
        return path

    @model_validator(mode="after")
    def _check_process(self) -> Self:
        if self.injects_faults and self.environment == "production":
            raise ValueError(
                "FAULT_ERROR_RATE and FAULT_LATENCY_SECONDS must be 0 unless ENVIRONMENT=development"
            )
        if self.max_requests_jitter and not self.max_requests:
            raise ValueError(
                "MAX_REQUESTS_JITTER has no effect without MAX_REQUESTS; set MAX_REQUESTS, or unset it"
            )
        if self.ops_port is not None and self.ops_port == self.port:
            raise ValueError("OPS_PORT must differ from PORT; unset it to serve everything on one port")
        return self

    @property
    def injects_faults(self) -> bool:
        """Whether fault injection is on."""
        return self.fault_error_rate > 0 or self.fault_latency_seconds > 0
