"""The dashboards as Grafana would ask for them: panels, their queries filled in, a Prometheus's answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

__all__ = ["BOARDS", "Prometheus", "Scope", "Series", "board", "shown"]

BOARDS = Path(__file__).parents[1] / "charts" / "task-service" / "dashboards"
"""Where they lie, one JSON file each."""

_TIMES = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (0, "µs"))
_SUFFIXES = {"reqps": " req/s", "ops": " ops/s", "percentunit": " %"}
_KIB = 1024


def board(name: str) -> dict[str, Any]:
    """Return a board, such as `service`."""
    found: dict[str, Any] = json.loads((BOARDS / f"{name}.json").read_text())
    return found


@dataclass(frozen=True)
class Series:
    """One line: its labels, and its points as Unix time and value."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Scope:
    """What a reader of a board has chosen.

    `namespace` None is All; `end` is Unix time, `span` and `scrape` are seconds.
    """

    release: str
    end: float
    span: float
    namespace: str | None = None
    scrape: float = 15.0

    def step(self, points: int) -> float:
        """Return the time between two points, in seconds, where so many fit."""
        return max(self.scrape, self.span / points)

    def filled(self, expression: str, step: float) -> str:
        """Return the query with the variables' values.

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
    """The HTTP API of a Prometheus.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the data of an answer.

        Raises:
            ValueError: It refuses, in its own words; a query that cannot be parsed, for one.
        """
        answer = self._client.get(path, params=parameters).json()
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return answer["data"]

    def now(self, expression: str, at: float) -> list[Series]:
        """Return the series at one moment."""
        data = self.get("/query", query=expression, time=at)
        return [Series(each["metric"], [_point(each["value"])]) for each in data["result"]]

    def over(self, expression: str, scope: Scope, step: float) -> list[Series]:
        """Return the series over the scope's span."""
        limits = {"start": scope.end - scope.span, "end": scope.end, "step": step}
        data = self.get("/query_range", query=expression, **limits)
        return [Series(each["metric"], [_point(pair) for pair in each["values"]]) for each in data["result"]]

    def panel(self, panel: Mapping[str, Any], scope: Scope, points: int = 300) -> list[list[Series]]:
        """Return what each query of a panel gives."""
        step = scope.step(points)
        return [
            self.now(scope.filled(target["expr"], step), scope.end)
            if target.get("instant")
            else self.over(scope.filled(target["expr"], step), scope, step)
            for target in panel["targets"]
        ]


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value as people read it.

    Args:
        value: In the unit's own terms.
        unit: As Grafana calls it: s, percentunit, reqps, ops, bytes, short.
        decimals: Digits after the point; None keeps three digits in all.
    """
    if unit == "s":
        size, name = next(each for each in _TIMES if abs(value) >= each[0])
        return f"{_rounded(value / (size or 1e-6), decimals)} {name}" if value else "0 s"
    if unit == "bytes":
        names = ["B", "KiB", "MiB", "GiB", "TiB"]
        while abs(value) >= _KIB and len(names) > 1:
            value, names = value / _KIB, names[1:]
        return f"{_rounded(value, decimals)} {names[0]}"
    if unit == "percentunit":
        value *= 100
    return _rounded(value, decimals) + _SUFFIXES.get(unit, "")


def _rounded(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _point(pair: tuple[float, str]) -> tuple[float, float]:
    return pair[0], float(pair[1])
