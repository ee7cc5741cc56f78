"""Draws the dashboards from a Prometheus, for people without Grafana: `python -m deploy.render_dashboards`."""

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
from deploy.dashboards import BOARDS, Prometheus, Scope, Series, board

__all__ = ["WIDTH", "draw", "main"]

WIDTH = 1280
"""Pixels: that of a small laptop."""

_IMAGES = Path(__file__).parents[1] / "docs" / "images"
# Grafana's own: 24 columns, a unit of height is 30 pixels and a gap of 8.
_COLUMNS, _UNIT, _GAP, _DPI = 24, 38, 8, 100


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
        draw_stat(frame, panel, found, width, height)
    elif panel["type"] == "table":
        draw_table(frame, panel, found, width, height)
    else:
        below = 24 + 12 * legend_rows(panel, found)
        plot = height - below - 26
        sides = (left + 62) / WIDTH, 1 - (top + height - below) / total
        inner = figure.add_axes((*sides, (width - 74) / WIDTH, plot / total))
        inner.set_xlim(scope.end - scope.span, scope.end)
        draw_graph(inner, panel, found, 20 / plot)


def _png(figure: Figure) -> bytes:
    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI, facecolor=figure.get_facecolor())
    _with_palette(Image.open(drawn).convert("RGB")).save(small, format="png", optimize=True)
    return small.getvalue()


def _with_palette(image: Image.Image) -> Image.Image:
    # A third of the size. Our own colours are kept however few pixels have them, also as lines' edges have them, mixed
    # with white, else two lines come to look alike; then the commonest. Any other becomes the nearest.
    pixels = np.asarray(image, dtype=np.int32) @ (1 << 16, 1 << 8, 1)
    found, places, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    own = [
        sum(round(255 - (255 - (int(color[1:], 16) >> shift & 255)) * share) << shift for shift in (16, 8, 0))
        for color in (*COLORS, *LEVELS.values())
        for share in (1, 0.8, 0.6, 0.4, 0.2)
    ]
    chosen = list(dict.fromkeys([*own, *found[np.argsort(-counts)].tolist()]))[:256]
    bands = [[(np.asarray(each) >> shift) & 255 for shift in (16, 8, 0)] for each in (found, chosen)]
    distances = sum(np.subtract.outer(have, want) ** 2 for have, want in zip(*bands, strict=True))
    nearest = np.argmin(distances, axis=1).astype(np.uint8)
    result = Image.fromarray(nearest[places].reshape(pixels.shape), "P")
    result.putpalette(np.stack(bands[1], axis=1).astype(np.uint8).tobytes())
    return result


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
