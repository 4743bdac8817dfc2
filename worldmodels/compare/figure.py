"""The comparison as a figure: a panel a measure, a column of dots a model."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from worldmodels.compare.rows import Row
from worldmodels.files import atomic
from worldmodels.render.curves import REFERENCE, STYLE, TRAINING, VALIDATION

ACROSS = 4
"""Panels side by side."""
LOG_RATIO = 30.0
"""Positive values that are so many times apart get a logarithmic axis."""
LOG_ROOM = 3.0
ROOM = 0.75
"""What an axis shows beyond the values, in units of their range: wider intervals are cut off."""
ARROWS = {"lower": " ↓", "higher": " ↑", "neither": ""}


def draw(path: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
    """Draw every row that has a value: seeds as dots, means with 95 % intervals, the reference dashed."""
    down = math.ceil(len(rows) / ACROSS)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * ACROSS, 2.6 * down), layout="constrained")
        panels = figure.subplots(down, ACROSS, squeeze=False).ravel()
        for axes, row in zip(panels, rows, strict=False):
            _panel(axes, row, names)
        for axes in panels[len(rows) :]:
            axes.set_axis_off()
        with atomic(path) as temporary:
            figure.savefig(temporary, format="png", dpi=110)


def _panel(axes: Axes, row: Row, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        values, estimate = row.values[name], row.estimates.get(name)
        axes.plot([place] * len(values), values, "o", color=TRAINING, markersize=4)
        if estimate is not None:
            fill = VALIDATION if estimate.mark else "white"
            axes.errorbar(
                place + 0.2, estimate.mean, estimate.margin or 0, fmt="D", color=VALIDATION, markersize=4,
                markerfacecolor=fill, capsize=2, elinewidth=0.9,
            )  # fmt: skip
    if row.reference is not None:
        axes.axhline(row.reference, color=REFERENCE, linestyle="--", linewidth=0.9)
    _scale(axes, [value for values in row.values.values() for value in values])
    axes.set_title(f"{row.measure.group}\n{row.measure.title}{ARROWS[row.measure.better]}", fontsize=7.5)
    axes.set_xticks(
        range(len(names)), [name.replace(",", ",\n") for name in names], rotation=30, ha="right", fontsize=7
    )
    axes.set_xlim(-0.5, len(names) - 0.3)
    axes.tick_params(axis="y", labelsize=7)


def _scale(axes: Axes, values: Sequence[float]) -> None:
    """An axis on which the values are told apart: logarithmic if they are magnitudes apart, cut where margins end."""
    low, high = min(values), max(values)
    if low > 0 and high > LOG_RATIO * low:
        axes.set_yscale("log")
        axes.set_ylim(low / LOG_ROOM, high * LOG_ROOM)
    elif high > low:
        axes.set_ylim(low - ROOM * (high - low), high + ROOM * (high - low))
