"""Reads the dashboards and runs the queries of their panels on a Prometheus, as Grafana does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

__all__ = ["DASHBOARDS_DIR", "Prometheus", "Scope", "Series", "format_value", "load_dashboard"]

DASHBOARDS_DIR = Path(__file__).parents[1] / "charts" / "task-service" / "dashboards"
"""Directory with one JSON file per dashboard."""

_TIME_UNITS = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (0, "µs"))
_SUFFIXES = {"reqps": " req/s", "ops": " ops/s", "percentunit": " %"}
_KIB = 1024


def load_dashboard(name: str) -> dict[str, Any]:
    """Return the JSON model of a dashboard, such as `service`."""
    dashboard: dict[str, Any] = json.loads((DASHBOARDS_DIR / f"{name}.json").read_text())
    return dashboard


@dataclass(frozen=True)
class Series:
    """A time series: labels, and points of Unix time and value."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Scope:
    """Time range and variables of a dashboard.

    Attributes:
        release: Value of `$release`.
        end: End of the time range, Unix time.
        span: Length of the time range in seconds.
        namespace: Value of `$namespace`; None selects all.
        scrape: Scrape interval of the Prometheus in seconds.
    """

    release: str
    end: float
    span: float
    namespace: str | None = None
    scrape: float = 15.0

    def step(self, points: int) -> float:
        """Return the query resolution in seconds for at most this number of points."""
        return max(self.scrape, self.span / points)

    def interpolate(self, expression: str, step: float) -> str:
        """Replace the variables in a query by their values.

        Source: grafana.com/docs/grafana/latest/datasources/prometheus/template-variables, on `$__rate_interval`.
        """
        values = {
            "$__rate_interval": f"{max(step + self.scrape, 4 * self.scrape) * 1000:.0f}ms",
            "$__range": f"{self.span * 1000:.0f}ms",
            "$namespace": self.namespace or ".*",
            "$release": self.release,
        }
        for name, value in values.items():
            expression = expression.replace(name, value)
        return expression


class Prometheus:
    """Client of the HTTP API of a Prometheus.

    Args:
        url: Base URL.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Return `data` of a response.

        Raises:
            ValueError: Prometheus reports an error, such as an invalid query.
        """
        response = self._client.get(path, params=parameters).json()
        if response["status"] != "success":
            raise ValueError(response["error"])
        return response["data"]

    def query(self, expression: str, at: float) -> list[Series]:
        """Return the result of an instant query at a Unix time."""
        data = self.get("/query", query=expression, time=at)
        return [Series(each["metric"], [_parse_point(each["value"])]) for each in data["result"]]

    def query_range(self, expression: str, scope: Scope, step: float) -> list[Series]:
        """Return the result of a range query over the time range of the scope; `step` is in seconds."""
        limits = {"start": scope.end - scope.span, "end": scope.end, "step": step}
        data = self.get("/query_range", query=expression, **limits)
        return [
            Series(each["metric"], [_parse_point(pair) for pair in each["values"]]) for each in data["result"]
        ]

    def panel(self, panel: Mapping[str, Any], scope: Scope, points: int = 300) -> list[list[Series]]:
        """Return the result of each query of a panel."""
        step = scope.step(points)
        return [
            self.query(scope.interpolate(target["expr"], step), scope.end)
            if target.get("instant")
            else self.query_range(scope.interpolate(target["expr"], step), scope, step)
            for target in panel["targets"]
        ]


def format_value(value: float, unit: str, decimals: int | None = None) -> str:
    """Format a value with its unit.

    Args:
        value: Value in the given unit.
        unit: Grafana's id of the unit: s, percentunit, reqps, ops, bytes, short.
        decimals: Digits after the decimal point; None keeps three significant digits.
    """
    if unit == "s":
        size, name = next(each for each in _TIME_UNITS if abs(value) >= each[0])
        return f"{_round(value / (size or 1e-6), decimals)} {name}" if value else "0 s"
    if unit == "bytes":
        names = ["B", "KiB", "MiB", "GiB", "TiB"]
        while abs(value) >= _KIB and len(names) > 1:
            value, names = value / _KIB, names[1:]
        return f"{_round(value, decimals)} {names[0]}"
    if unit == "percentunit":
        value *= 100
    return _round(value, decimals) + _SUFFIXES.get(unit, "")


def _round(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three significant digits


def _parse_point(pair: tuple[float, str]) -> tuple[float, float]:
    return pair[0], float(pair[1])
