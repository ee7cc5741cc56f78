"""Renders the dashboards to PNG files from a Prometheus, without Grafana: `python -m deploy.render_dashboards`."""

import argparse
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from deploy.dashboard_panels import COLORS, LEVELS, draw_graph, draw_stat, draw_table, legend_rows
from deploy.dashboards import DASHBOARDS_DIR, Prometheus, Scope, Series, load_dashboard

__all__ = ["WIDTH", "draw", "main"]

WIDTH = 1280
"""Width of the images in pixels, that of a small laptop screen."""

_IMAGES = Path(__file__).parents[1] / "docs" / "images"
# Grafana's grid: 24 columns; a unit of height is 30 pixels plus a gap of 8.
_COLUMNS, _UNIT, _GAP, _DPI = 24, 38, 8, 100


def draw(name: str, prometheus: Prometheus, scope: Scope) -> bytes:
    """Render a dashboard as a PNG.

    Args:
        name: Name of the dashboard, such as `service`.
        prometheus: Source of the data.
        scope: Time range and variables.
    """
    dashboard = load_dashboard(name)
    units = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    height = units * _UNIT + _UNIT
    figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="#f0f1f4")
    figure.text(_GAP / WIDTH, 1 - 24 / height, dashboard["title"], size=13, weight="bold")
    with mpl.rc_context({"font.size": 7.5, "font.family": "DejaVu Sans"}):
        for panel in dashboard["panels"]:
            _draw_panel(figure, panel, prometheus.panel(panel, scope), height, scope)
    return _encode_png(figure)


def _draw_panel(
    figure: Figure, panel: Mapping[str, Any], results: list[list[Series]], total_height: float, scope: Scope
) -> None:
    grid = panel["gridPos"]
    column = (WIDTH - _GAP) / _COLUMNS
    left, top = _GAP + grid["x"] * column, _UNIT + grid["y"] * _UNIT
    width, height = grid["w"] * column - _GAP, grid["h"] * _UNIT - _GAP
    frame = figure.add_axes(
        (left / WIDTH, 1 - (top + height) / total_height, width / WIDTH, height / total_height)
    )
    frame.set(xticks=[], yticks=[], facecolor="white")
    frame.spines[:].set_color("#d5d8de")
    frame.text(_GAP, height - 15, panel["title"], size=8, weight="bold")
    frame.set(xlim=(0, width), ylim=(0, height))
    if panel["type"] == "stat":
        draw_stat(frame, panel, results, width, height)
    elif panel["type"] == "table":
        draw_table(frame, panel, results, width, height)
    else:
        legend_height = 24 + 12 * legend_rows(panel, results)
        plot = height - legend_height - 26
        sides = (left + 62) / WIDTH, 1 - (top + height - legend_height) / total_height
        inner = figure.add_axes((*sides, (width - 74) / WIDTH, plot / total_height))
        inner.set_xlim(scope.end - scope.span, scope.end)
        draw_graph(inner, panel, results, 20 / plot)


def _encode_png(figure: Figure) -> bytes:
    rendered, compressed = BytesIO(), BytesIO()
    figure.savefig(rendered, format="png", dpi=_DPI, facecolor=figure.get_facecolor())
    _quantize(Image.open(rendered).convert("RGB")).save(compressed, format="png", optimize=True)
    return compressed.getvalue()


def _quantize(image: Image.Image) -> Image.Image:
    # A palette of 256 colors reduces the file to a third. It contains the series' colors and their mixtures with white
    # (antialiased edges), so that series stay distinguishable, then the most frequent colors.
    pixels = np.asarray(image, dtype=np.int32) @ (1 << 16, 1 << 8, 1)
    colors, indices, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    reserved = [
        sum(round(255 - (255 - (int(color[1:], 16) >> shift & 255)) * share) << shift for shift in (16, 8, 0))
        for color in (*COLORS, *LEVELS.values())
        for share in (1, 0.8, 0.6, 0.4, 0.2)
    ]
    palette = list(dict.fromkeys([*reserved, *colors[np.argsort(-counts)].tolist()]))[:256]
    bands = [[(np.asarray(each) >> shift) & 255 for shift in (16, 8, 0)] for each in (colors, palette)]
    distances = sum(np.subtract.outer(source, target) ** 2 for source, target in zip(*bands, strict=True))
    nearest = np.argmin(distances, axis=1).astype(np.uint8)
    result = Image.fromarray(nearest[indices].reshape(pixels.shape), "P")
    result.putpalette(np.stack(bands[1], axis=1).astype(np.uint8).tobytes())
    return result


def main() -> None:
    """Render all dashboards into docs/images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="base URL of the Prometheus")
    parser.add_argument("--release", default="task-service")
    parser.add_argument("--namespace", help="default: all namespaces")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--scrape", type=float, default=5, help="scrape interval in seconds")
    parser.add_argument("--folder", type=Path, default=_IMAGES)
    arguments = parser.parse_args()
    scope = Scope(
        arguments.release, time.time(), arguments.minutes * 60, arguments.namespace, arguments.scrape
    )
    for path in sorted(DASHBOARDS_DIR.glob("*.json")):
        (arguments.folder / f"dashboard-{path.stem}.png").write_bytes(
            draw(path.stem, Prometheus(arguments.prometheus), scope)
        )


if __name__ == "__main__":
    main()
