"""Draws the panels of a dashboard: stats, tables and graphs."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

from deploy.dashboards import Series, format_value

__all__ = ["COLORS", "LEVELS", "draw_graph", "draw_stat", "draw_table", "legend_rows"]

_GAP = 8
COLORS = ["#3274d9", "#56a64b", "#e0b400", "#8f3bb8", "#e0226e", "#ff780a", "#37872d", "#1f60c4", "#a352cc"]
"""Colors of the series of a graph, in order."""

LEVELS = {"green": "#37872d", "yellow": "#b88d00", "orange": "#e07000", "red": "#c4162a"}
"""Colors of thresholds by Grafana's names."""

_LEGEND_MAX_LENGTH = 62
_TICK_SECONDS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400)
_MAX_TICKS = 6


def draw_stat(
    frame: Axes, panel: Mapping[str, Any], results: list[list[Series]], width: int, height: int
) -> None:
    """Draw one value, or several side by side."""
    defaults = panel["fieldConfig"]["defaults"]
    values = [(_name(panel, 0, each), each.points[-1][1]) for each in results[0]] or [("", float("nan"))]
    for index, (name, value) in enumerate(values):
        center = width * (2 * index + 1) / (2 * len(values))
        text = format_value(value, defaults["unit"], defaults.get("decimals")) if value == value else "–"  # noqa: PLR0124 - NaN
        color = _level(value, defaults["thresholds"])
        frame.text(center, height * 0.36, text, size=17, ha="center", color=color, weight="bold")
        frame.text(center, height * 0.14, name, size=7.5, ha="center", color="#555")


def draw_table(
    frame: Axes, panel: Mapping[str, Any], results: list[list[Series]], width: int, height: int
) -> None:
    """Draw the results of the queries as a table, with one row per set of labels."""
    defaults = panel["fieldConfig"]["defaults"]
    names = panel["transformations"][1]["options"]["renameByName"]
    overrides = {each["matcher"]["options"]: each["properties"] for each in panel["fieldConfig"]["overrides"]}
    cells = [[(title, "#555") for title in names.values()]]
    for row in _merge(results):
        options = [
            defaults | {each["id"]: each["value"] for each in overrides.get(title, [])}
            for title in names.values()
        ]
        cells.append([_cell(row.get(field, "–"), each) for field, each in zip(names, options, strict=True)])
    widths = [max(len(row[index][0]) for row in cells) + 3 for index in range(len(names))]
    for y, cell_row in enumerate(cells):
        for x, (text, color) in enumerate(cell_row):
            left = _GAP + (width - _GAP) * sum(widths[:x]) / sum(widths)
            frame.text(
                left, height - 42 - 24 * y, text, color=color, size=8, weight="normal" if y else "bold"
            )


def _cell(value: str | float, options: Mapping[str, Any]) -> tuple[str, str]:
    if isinstance(value, str):
        return value, "black"
    is_colored = options.get("custom.cellOptions", {}).get("type") == "color-text"
    color = _level(value, options["thresholds"]) if is_colored else "black"
    return format_value(value, options["unit"], options.get("decimals")), color


def draw_graph(
    axes: Axes, panel: Mapping[str, Any], results: list[list[Series]], legend_offset: float
) -> None:
    """Draw series, thresholds and legend; `legend_offset` is the gap above the legend as a share of the height."""
    defaults = panel["fieldConfig"]["defaults"]
    lines = [(_name(panel, index, each), each) for index, group in enumerate(results) for each in group]
    stack_base: dict[float, float] = {}
    for index, (name, series) in enumerate(lines):
        color, stacked = COLORS[index % len(COLORS)], defaults["custom"]["stacking"]["mode"] == "normal"
        base = [stack_base.get(at, 0.0) if stacked else 0.0 for at, _ in series.points]
        times = [at for at, _ in series.points]
        values = [low + value for low, (_, value) in zip(base, series.points, strict=True)]
        stack_base |= {at: value for (at, _), value in zip(series.points, values, strict=True)}
        axes.plot(times, values, color=color, linewidth=1.1, label=name[:_LEGEND_MAX_LENGTH])
        axes.fill_between(
            times, base, values, color=color, alpha=defaults["custom"]["fillOpacity"] / 100, lw=0
        )
    axes.set_ylim(defaults.get("min"), _ceiling(axes, defaults))
    if defaults["custom"]["thresholdsStyle"]["mode"] == "dashed":
        for step in defaults["thresholds"]["steps"][1:]:
            if step["value"] <= axes.get_ylim()[1]:
                axes.axhline(step["value"], color=LEVELS[step["color"]], linestyle="--", linewidth=1)
    if not lines:
        axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color="#777")
    _format_axes(axes, defaults["unit"])
    if lines:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(-0.16, -legend_offset),
            borderaxespad=0,
            frameon=False,
            ncols=_legend_columns(panel, results),
            fontsize=7,
            handlelength=1.2,
            labelspacing=0.25,
        )


def _format_axes(axes: Axes, unit: str) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value, unit)))
    axes.yaxis.set_major_locator(_locator(axes.get_ylim()[1], unit))
    left, right = axes.get_xlim()
    tick = next((each for each in _TICK_SECONDS if (right - left) / each <= _MAX_TICKS), _TICK_SECONDS[-1])
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
    if unit == "s" and highest > _TICK_SECONDS[-1]:
        return MultipleLocator(86_400 * math.ceil(highest / 86_400 / 4))
    return MaxNLocator(5)


def _ceiling(axes: Axes, defaults: Mapping[str, Any]) -> float | None:
    if "max" in defaults:
        return float(defaults["max"])
    highest = axes.dataLim.y1 if axes.lines else 1.0
    return highest * 1.1 if highest > 0 else 1.0


def _legend_names(panel: Mapping[str, Any], results: list[list[Series]]) -> list[str]:
    return [_name(panel, index, each) for index, group in enumerate(results) for each in group]


def _legend_columns(panel: Mapping[str, Any], results: list[list[Series]]) -> int:
    longest = max(map(len, _legend_names(panel, results)), default=0)
    return max(1, min(4, 72 // (min(longest, _LEGEND_MAX_LENGTH) + 6)))


def legend_rows(panel: Mapping[str, Any], results: list[list[Series]]) -> int:
    """Return the number of rows of the legend."""
    return -(-len(_legend_names(panel, results)) // _legend_columns(panel, results))


def _name(panel: Mapping[str, Any], index: int, series: Series) -> str:
    legend: str = panel["targets"][index]["legendFormat"]
    return re.sub(r"\{\{(\w+)\}\}", lambda label: series.labels.get(label[1], ""), legend).strip()


def _level(value: float, thresholds: Mapping[str, Any]) -> str:
    steps: Sequence[Mapping[str, Any]] = thresholds["steps"]
    reached = [step for step in steps if step["value"] is None or value >= step["value"]]
    return LEVELS[reached[-1]["color"]]


def _merge(results: list[list[Series]]) -> list[dict[str, str | float]]:
    rows: dict[tuple[tuple[str, str], ...], dict[str, str | float]] = {}
    for index, group in enumerate(results):
        field = f"Value #{'ABCDEFGH'[index]}" if len(results) > 1 else "Value"
        for each in group:
            row = rows.setdefault(tuple(sorted(each.labels.items())), {**each.labels})
            row[field] = each.points[-1][1]
    return [rows[key] for key in sorted(rows)]
