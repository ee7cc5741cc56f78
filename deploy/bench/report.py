"""Reports the results as a Markdown table and as a chart."""

import sys
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure

from deploy.bench.load import Sample
from deploy.bench.runner import Figures
from deploy.bench.variants import ROUTES

__all__ = ["echo", "median_sample", "save_chart", "table", "write_chart"]


def median_sample(samples: list[Sample]) -> Sample:
    """Return a sample of the medians."""
    return Sample(
        *(
            median(getattr(sample, name) for sample in samples)
            for name in ("cpu_microseconds", "per_second", "p50_milliseconds", "p99_milliseconds")
        )
    )


def table(figures: Figures) -> str:
    """Return a Markdown table with one row per route and variant."""
    lines = [
        "| Route | Variant | requests/s (spread) | ours against it | CPU µs a request | p50 ms | p99 ms |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for route in ROUTES:
        for (name, of_route), samples in figures.items():
            if of_route != route:
                continue
            typical, ours = median_sample(samples), median_sample(figures["ours", route])
            rates = [sample.per_second for sample in samples]
            spread = (max(rates) - min(rates)) / 2 / typical.per_second
            cells = [
                route,
                name,
                f"{typical.per_second:,.0f} (±{spread:.0%})",
                f"{ours.per_second / typical.per_second:.2f}",
                *(
                    (
                        f"{typical.cpu_microseconds:.0f}",
                        f"{typical.p50_milliseconds:.1f}",
                        f"{typical.p99_milliseconds:.1f}",
                    )
                    if typical.cpu_microseconds
                    else ("", "", "")
                ),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def echo(text: str) -> None:
    """Print a line of the report."""
    sys.stdout.write(f"{text}\n")


def write_chart(figures: Figures, path: Path) -> None:
    """Draw the CPU time per request of each route, which varies least between runs."""
    shown = [name for name in ("bare", "ours", "conventional") if any(key[0] == name for key in figures)]
    routes = [route for route in ROUTES if ("ours", route) in figures]
    colours = {"bare": "#b8b8b8", "ours": "#2166ac", "conventional": "#d6604d"}
    figure = Figure(figsize=(9, 4))
    axes = figure.subplots()
    width = 0.8 / len(shown)
    for number, name in enumerate(shown):
        positions = [index + number * width for index in range(len(routes))]
        costs = [median_sample(figures[name, route]).cpu_microseconds for route in routes]
        bars = axes.bar(positions, costs, width, label=name, color=colours[name])
        axes.bar_label(bars, [f"{cost:,.0f}" for cost in costs], fontsize=7)
    axes.set_xticks([index + 0.4 - width / 2 for index in range(len(routes))], routes)
    axes.set_ylabel("CPU µs per request, lower is better")
    save_chart(figure, path)


def save_chart(figure: Figure, path: Path) -> None:
    """Write a chart as PNG, in the common style."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
