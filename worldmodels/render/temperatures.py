"""The paper's table of temperatures as a plot: scores in dreams, and in the real game, by the dream's temperature."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from worldmodels.config import ControllerConfig
from worldmodels.evaluate import Row
from worldmodels.render.curves import REFERENCE, STYLE, TRAINING, VALIDATION, save_figure

MARKERS = "s^Dv<>P"


def temperature_figure(rows: Sequence[Row], controllers: Mapping[str, ControllerConfig], path: Path) -> bool:
    """Draw scores by temperature, with their 95 % intervals; False if there are not two temperatures to compare.

    Agents that were evolved in dreams stand at the temperature of these, with their scores there and in the real game.
    Scores of one agent in dreams of several temperatures are joined; other scores in the real game are lines across.

    Args:
        rows: scores.
        controllers: options of the agents, by name.
        path: of the PNG.
    """
    own = {name: config.temperature for name, config in controllers.items() if config.world == "dream"}
    dreamt = [(row.temperature, row) for row in rows if row.temperature is not None]
    real = [(own[row.agent], row) for row in rows if row.world == "real" and row.agent in own]
    if len({temperature for temperature, _ in dreamt + real}) < 2:
        return False
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.subplots()
        at_home = [(temperature, row) for temperature, row in dreamt if own.get(row.agent) == temperature]
        _series(axes, at_home, "o", VALIDATION, "evolved at that temperature, in the dream")
        _series(axes, real, "o", REFERENCE, "the same agents in the real game")
        for marker, name in zip(itertools.cycle(MARKERS), dict.fromkeys(row.agent for row in rows), strict=False):
            mine = [(temperature, row) for temperature, row in dreamt if row.agent == name]
            if len(mine) > 1:
                _series(axes, mine, marker, TRAINING, f"agent {name} in dreams of any temperature")
        for row in rows:
            if row.world == "real" and row.agent not in own:
                _across(axes, row, "--" if row.agent in controllers else ":")
        axes.set(xlabel="temperature of the dream", ylabel="return: mean, 95 % interval")
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        save_figure(figure, path)
    return True


def _series(axes: Axes, points: Sequence[tuple[float, Row]], marker: str, colour: str, label: str) -> None:
    """Scores with their intervals, joined in the order of their temperatures."""
    if not points:
        return
    at, rows = zip(*sorted(points, key=lambda point: point[0]), strict=True)
    means = [row.mean for row in rows]
    spread = [[row.mean - row.interval[0] for row in rows], [row.interval[1] - row.mean for row in rows]]
    axes.errorbar(at, means, spread, color=colour, marker=marker, markersize=5, capsize=3, linewidth=1.2, label=label)


def _across(axes: Axes, row: Row, line: str) -> None:
    """A score that has no temperature."""
    axes.axhline(row.mean, color=REFERENCE, linestyle=line, linewidth=1)
    axes.annotate(
        f"{row.agent}, in the real game", (1, row.mean), (-4, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", fontsize=8.5, color=REFERENCE,
    )  # fmt: skip
