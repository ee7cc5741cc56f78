"""Discards invalid values of OpenTelemetry's standard environment variables, before the SDK reads them.

The specification (configuration/sdk-environment-variables, "Parsing empty value" and "Type-specific guidance") requires
a warning and the default. The SDK raises an exception for some values, and logs others that contain a secret.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["IGNORED_AT_IMPORT", "discard_invalid_variables", "is_tracing_configured"]

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_HEADERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~\w-]+[ \t]*=[ !#-+\--:<-\[\]-~]*", re.ASCII)
_SAMPLERS: Final = tuple(
    f"{parent}{name}"
    for parent in ("", "parentbased_")
    for name in ("always_on", "always_off", "traceidratio")
)


def _number(minimum: float, maximum: float = float("inf"), *, also: str = "") -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        try:
            is_valid = value.lower() == also or minimum <= float(value) <= maximum
        except ValueError:
            is_valid = False
        return (
            None
            if is_valid
            else f"is not a number from {minimum:g}{f' to {maximum:g}' if maximum < float('inf') else ''}"
        )

    return check


def _integer(minimum: int, *, also: str = "") -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        is_valid = value.lower() == also or (re.fullmatch(r"[0-9]{1,9}", value) and int(value) >= minimum)
        return None if is_valid else f"is not an integer from {minimum}"

    return check


def _one_of(*values: str) -> Callable[[str], str | None]:
    return lambda value: None if value.lower() in values else f"must be one of {', '.join(values)}"


def _propagators(value: str) -> str | None:
    known = {"tracecontext", "baggage"}
    return (
        None
        if {part.strip().lower() for part in value.split(",")} <= known
        else "only tracecontext is supported"
    )


def _endpoint(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    return None if is_valid and not re.search(r"\s", value) else "is not an http or https URL"


def _headers(value: str) -> str | None:
    members = [member.strip() for member in value.split(",")]
    is_valid = all(
        _HEADER.fullmatch(member) and unquote(member).isprintable() for member in members if member
    )
    return None if is_valid else "is not a comma-separated list of name=value"


_CHECKS: Final[dict[str, Callable[[str], str | None]]] = {
    **{
        f"OTEL_{name}_LIMIT": _integer(0, also="unset")
        for name in (
            *(
                "ATTRIBUTE_COUNT",
                "ATTRIBUTE_VALUE_LENGTH",
                "SPAN_ATTRIBUTE_COUNT",
                "SPAN_ATTRIBUTE_VALUE_LENGTH",
            ),
            *("SPAN_EVENT_COUNT", "SPAN_LINK_COUNT", "EVENT_ATTRIBUTE_COUNT", "LINK_ATTRIBUTE_COUNT"),
        )
    },
    **{
        f"OTEL_BSP_{name}": _integer(1)
        for name in ("SCHEDULE_DELAY", "EXPORT_TIMEOUT", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE")
    },
    **{
        f"OTEL_EXPORTER_OTLP_{signal}{name}": check
        for signal in ("", "TRACES_")
        for name, check in (
            ("TIMEOUT", _number(0.001)),
            ("PROTOCOL", _one_of("http/protobuf")),
            ("COMPRESSION", _one_of("none", "gzip", "deflate")),
        )
    },
    **dict.fromkeys(_ENDPOINTS, _endpoint),
    **dict.fromkeys(_HEADERS, _headers),
    "OTEL_PROPAGATORS": _propagators,
    "OTEL_SDK_DISABLED": _one_of("true", "false"),
    "OTEL_TRACES_EXPORTER": _one_of("otlp", "none"),
    "OTEL_TRACES_SAMPLER": _one_of(*_SAMPLERS),
    "OTEL_TRACES_SAMPLER_ARG": _number(0, 1),
}


def discard_invalid_variables() -> Iterator[tuple[str, str]]:
    """Remove empty and invalid variables from the environment.

    Yields:
        The name of each invalid variable, and the reason. Never its value, which may contain a secret.
    """
    for name, check in _CHECKS.items():
        value = os.environ.pop(name, "").strip()
        reason = check(value) if value else None
        if reason:
            yield name, reason
        elif value:
            os.environ[name] = value
    queue, batch = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
    if int(os.environ.get(batch, "512")) > int(os.environ.get(queue, "2048")):
        for name in (queue, batch):
            os.environ.pop(name, None)
        yield batch, f"must not be above {queue}"


# The SDK reads some variables at import. So `tracing` imports this module first.
IGNORED_AT_IMPORT: Final = tuple(discard_invalid_variables())


def is_tracing_configured() -> bool:
    """Return whether the environment has an OTLP endpoint and does not disable tracing."""
    return (
        any(name in os.environ for name in _ENDPOINTS)
        and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and os.environ.get("OTEL_TRACES_EXPORTER", "").lower() != "none"
    )
