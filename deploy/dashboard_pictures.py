"""Draws the dashboards from a Prometheus, for people without Grafana: `python -m deploy.dashboard_pictures`."""

import argparse
import math
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator
from PIL import Image

from deploy.dashboards import BOARDS, Prometheus, Scope, Series, board, shown

__all__ = ["WIDTH", "draw", "main"]

WIDTH = 1280
"""Pixels: that of a small laptop."""

_IMAGES = Path(__file__).parents[1] / "docs" / "images"
# Grafana's own: 24 columns, a unit of height is 30 pixels and a gap of 8.
_COLUMNS, _UNIT, _GAP, _DPI = 24, 38, 8, 100
_COLORS = ["#3274d9", "#56a64b", "#e0b400", "#8f3bb8", "#e0226e", "#ff780a", "#37872d", "#1f60c4", "#a352cc"]
_LEVELS = {"green": "#37872d", "yellow": "#b88d00", "orange": "#e07000", "red": "#c4162a"}
_LEGEND_LETTERS = 62
_TICKS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400)
_MOST_TICKS = 6


def draw(name: str, prometheus: Prometheus, scope: Scope) -> bytes:
    """Return a board as a PNG.

    Args:
        name: Such as `service`.
        prometheus: Where the data is.
        scope: Which release, and which time.
    """
    content = board(name)
    units = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in content["panels"])
    height = units * _UNIT + _UNIT
    figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="#f0f1f4")
    figure.text(_GAP / WIDTH, 1 - 24 / height, content["title"], size=13, weight="bold")
    with mpl.rc_context({"font.size": 7.5, "font.family": "DejaVu Sans"}):
        for panel in content["panels"]:
            _panel(figure, panel, prometheus.panel(panel, scope), height, scope)
    return _png(figure)


def _panel(
    figure: Figure, panel: Mapping[str, Any], found: list[list[Series]], total: float, scope: Scope
) -> None:
    grid = panel["gridPos"]
    column = (WIDTH - _GAP) / _COLUMNS
    left, top = _GAP + grid["x"] * column, _UNIT + grid["y"] * _UNIT
    width, height = grid["w"] * column - _GAP, grid["h"] * _UNIT - _GAP
    frame = figure.add_axes((left / WIDTH, 1 - (top + height) / total, width / WIDTH, height / total))
    frame.set(xticks=[], yticks=[], facecolor="white")
    frame.spines[:].set_color("#d5d8de")
    frame.text(_GAP, height - 15, panel["title"], size=8, weight="bold")
    frame.set(xlim=(0, width), ylim=(0, height))
    if panel["type"] == "stat":
        _stat(frame, panel, found, width, height)
    elif panel["type"] == "table":
        _table(frame, panel, found, width, height)
    else:
        below = 24 + 12 * _legend_rows(panel, found)
        plot = height - below - 26
        sides = (left + 62) / WIDTH, 1 - (top + height - below) / total
        inner = figure.add_axes((*sides, (width - 74) / WIDTH, plot / total))
        inner.set_xlim(scope.end - scope.span, scope.end)
        _graph(inner, panel, found, 20 / plot)


def _stat(frame: Axes, panel: Mapping[str, Any], found: list[list[Series]], width: int, height: int) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    values = [(_name(panel, 0, each), each.points[-1][1]) for each in found[0]] or [("", float("nan"))]
    for place, (name, value) in enumerate(values):
        middle = width * (2 * place + 1) / (2 * len(values))
        text = shown(value, defaults["unit"], defaults.get("decimals")) if value == value else "–"  # noqa: PLR0124 - not a number
        color = _level(value, defaults["thresholds"])
        frame.text(middle, height * 0.36, text, size=17, ha="center", color=color, weight="bold")
        frame.text(middle, height * 0.14, name, size=7.5, ha="center", color="#555")


def _table(frame: Axes, panel: Mapping[str, Any], found: list[list[Series]], width: int, height: int) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    names = panel["transformations"][1]["options"]["renameByName"]
    special = {each["matcher"]["options"]: each["properties"] for each in panel["fieldConfig"]["overrides"]}
    cells = [[(title, "#555") for title in names.values()]]
    for row in _merged(found):
        options = [
            defaults | {each["id"]: each["value"] for each in special.get(title, [])}
            for title in names.values()
        ]
        cells.append([_cell(row.get(field, "–"), each) for field, each in zip(names, options, strict=True)])
    letters = [max(len(row[place][0]) for row in cells) + 3 for place in range(len(names))]
    for y, line in enumerate(cells):
        for x, (text, color) in enumerate(line):
            left = _GAP + (width - _GAP) * sum(letters[:x]) / sum(letters)
            frame.text(left, height - 42 - 24 * y, text, color=color, weight="normal" if y else "bold")


def _cell(value: str | float, options: Mapping[str, Any]) -> tuple[str, str]:
    if isinstance(value, str):
        return value, "black"
    is_colored = options.get("custom.cellOptions", {}).get("type") == "color-text"
    color = _level(value, options["thresholds"]) if is_colored else "black"
    return shown(value, options["unit"], options.get("decimals")), color


def _graph(axes: Axes, panel: Mapping[str, Any], found: list[list[Series]], below: float) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    lines = [(_name(panel, place, each), each) for place, group in enumerate(found) for each in group]
    floor: dict[float, float] = {}
    for place, (name, line) in enumerate(lines):
        color, stacked = _COLORS[place % len(_COLORS)], defaults["custom"]["stacking"]["mode"] == "normal"
        base = [floor.get(at, 0.0) if stacked else 0.0 for at, _ in line.points]
        times = [at for at, _ in line.points]
        values = [low + value for low, (_, value) in zip(base, line.points, strict=True)]
        floor |= {at: value for (at, _), value in zip(line.points, values, strict=True)}
        axes.plot(times, values, color=color, linewidth=1.1, label=name[:_LEGEND_LETTERS])
        axes.fill_between(
            times, base, values, color=color, alpha=defaults["custom"]["fillOpacity"] / 100, lw=0
        )
    axes.set_ylim(defaults.get("min"), _ceiling(axes, defaults))
    if defaults["custom"]["thresholdsStyle"]["mode"] == "dashed":
        for step in defaults["thresholds"]["steps"][1:]:
            if step["value"] <= axes.get_ylim()[1]:
                axes.axhline(step["value"], color=_LEVELS[step["color"]], linestyle="--", linewidth=1)
    if not lines:
        axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color="#777")
    _scales(axes, defaults["unit"])
    if lines:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(-0.16, -below),
            borderaxespad=0,
            frameon=False,
            ncols=_columns(panel, found),
            fontsize=7,
            handlelength=1.2,
            labelspacing=0.25,
        )


def _scales(axes: Axes, unit: str) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    axes.yaxis.set_major_locator(_locator(axes.get_ylim()[1], unit))
    left, right = axes.get_xlim()
    tick = next((each for each in _TICKS if (right - left) / each <= _MOST_TICKS), _TICKS[-1])
    pattern = "%H:%M" if tick % 60 == 0 else "%H:%M:%S"
    axes.xaxis.set_major_locator(MultipleLocator(tick))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda at, _: datetime.fromtimestamp(at, UTC).strftime(pattern))
    )
    axes.grid(color="#e4e6ea", linewidth=0.6)
    axes.tick_params(length=0, colors="#555", labelsize=7)
    axes.spines[:].set_visible(False)


def _locator(highest: float, unit: str) -> Locator:
    if unit == "bytes":
        return MultipleLocator(2 ** math.ceil(math.log2(max(highest, 1) / 4)))
    if unit == "s" and highest > _TICKS[-1]:
        return MultipleLocator(86_400 * math.ceil(highest / 86_400 / 4))
    return MaxNLocator(5)


def _ceiling(axes: Axes, defaults: Mapping[str, Any]) -> float | None:
    if "max" in defaults:
        return float(defaults["max"])
    highest = axes.dataLim.y1 if axes.lines else 1.0
    return highest * 1.1 if highest > 0 else 1.0


def _names(panel: Mapping[str, Any], found: list[list[Series]]) -> list[str]:
    return [_name(panel, place, each) for place, group in enumerate(found) for each in group]


def _columns(panel: Mapping[str, Any], found: list[list[Series]]) -> int:
    longest = max(map(len, _names(panel, found)), default=0)
    return max(1, min(4, 72 // (min(longest, _LEGEND_LETTERS) + 6)))


def _legend_rows(panel: Mapping[str, Any], found: list[list[Series]]) -> int:
    return -(-len(_names(panel, found)) // _columns(panel, found))


def _name(panel: Mapping[str, Any], place: int, series: Series) -> str:
    legend: str = panel["targets"][place]["legendFormat"]
    return re.sub(r"\{\{(\w+)\}\}", lambda label: series.labels.get(label[1], ""), legend).strip()


def _level(value: float, thresholds: Mapping[str, Any]) -> str:
    steps: Sequence[Mapping[str, Any]] = thresholds["steps"]
    reached = [step for step in steps if step["value"] is None or value >= step["value"]]
    return _LEVELS[reached[-1]["color"]]


def _merged(found: list[list[Series]]) -> list[dict[str, str | float]]:
    rows: dict[tuple[tuple[str, str], ...], dict[str, str | float]] = {}
    for place, group in enumerate(found):
        field = f"Value #{'ABCDEFGH'[place]}" if len(found) > 1 else "Value"
        for each in group:
            row = rows.setdefault(tuple(sorted(each.labels.items())), {**each.labels})
            row[field] = each.points[-1][1]
    return [rows[key] for key in sorted(rows)]


def _png(figure: Figure) -> bytes:
    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI, facecolor=figure.get_facecolor())
    # A palette makes a third of the size; this way of choosing one keeps colours that are rare.
    Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
        small, format="png", optimize=True
    )
    return small.getvalue()


def main() -> None:
    """Draw every board into docs/images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its address")
    parser.add_argument("--release", default="task-service")
    parser.add_argument("--namespace", help="default: all")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--scrape", type=float, default=5, help="scrape interval in seconds")
    parser.add_argument("--folder", type=Path, default=_IMAGES)
    given = parser.parse_args()
    scope = Scope(given.release, time.time(), given.minutes * 60, given.namespace, given.scrape)
    for path in sorted(BOARDS.glob("*.json")):
        (given.folder / f"dashboard-{path.stem}.png").write_bytes(
            draw(path.stem, Prometheus(given.prometheus), scope)
        )


if __name__ == "__main__":
    main()
