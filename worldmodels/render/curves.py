"""Learning curves of V, M and C as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, StrMethodFormatter

from worldmodels.config import ControllerConfig
from worldmodels.evolution.history import Generation, read_history, standing
from worldmodels.files import atomic
from worldmodels.metrics import read_metrics
from worldmodels.returns import statistics

STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 10.5,
    "legend.framealpha": 0.8,
    "legend.edgecolor": "none",
    "legend.fontsize": 9,
}
TRAINING, VALIDATION, REFERENCE = "#9db8d9", "#14508c", "#c2571a"
LOG_RATIO = 4.0
"""A curve of positive numbers that falls by more than this factor gets a logarithmic axis."""
VISION = {
    "loss": "loss: squared error + KL",
    "reconstruction": "squared error, summed over a frame",
    "kl": "KL, nats a frame",
}
"""Metrics of V that are drawn, with their units; those of other models than the VAE follow them."""
MEMORY = {
    "nll": "negative log-likelihood, nats a dimension",
    "reward": "reward: mean squared error",
    "done": "end: cross-entropy, nats a step",
}
"""Metrics of M that are drawn, with their units."""
BASELINES = {"no_change": "nothing changes", "no_memory": "the past is ignored"}
MAX_PANELS = 3


def vision_curves(folder: Path, path: Path) -> bool:
    """Draw V's losses from its stage's folder; False if none are recorded yet."""
    entries = read_metrics(folder)
    names = _recorded(entries, VISION)
    return _losses("V", entries, {name: VISION.get(name, name.replace("_", " ")) for name in names}, {}, path)


def memory_curves(folder: Path, baselines: Mapping[str, float], path: Path) -> bool:
    """Draw M's losses from its stage's folder, with the baselines of its likelihood; False if none are recorded yet."""
    entries = read_metrics(folder)
    names = [name for name in _recorded(entries, MEMORY) if name in MEMORY]
    return _losses("M", entries, {name: MEMORY[name] for name in names}, baselines, path)


def game_curves(entries: Sequence[Mapping[str, Any]], path: Path, steps: str = "gradient steps") -> bool:
    """Draw how a generator and a discriminator fare against each other; False if no such game is recorded."""
    if not any("loss_generator" in entry for entry in entries):
        return False
    panels = {
        "losses, nats": {"loss_generator": "generator", "loss_discriminator": "discriminator"},
        "the discriminator is right about": {"accuracy_real": "real images", "accuracy_fake": "made images"},
        "variety of made images": {
            "validation/spread": "distance between them, real ones' = 1",
            "validation/coverage": "share of real ones that have one near",
            "validation/recall": "share of real ones that they reach",
        },
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(panels) + 0.6, 3.4), layout="constrained")
        for axes, (title, curves) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
            for colour, (name, label) in zip((VALIDATION, REFERENCE, TRAINING), curves.items(), strict=False):
                points = [(entry["step"], entry[name]) for entry in entries if name in entry]
                if points:
                    axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1)
            axes.set(title=title, xlabel=steps)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.legend()
        save_figure(figure, path)
    return True


def _recorded(entries: Sequence[Mapping[str, Any]], first: Mapping[str, str]) -> list[str]:
    """Names of the metrics that were measured, the most important ones first."""
    found = dict.fromkeys(name.removeprefix("validation/") for entry in entries for name in entry if name != "step")
    return sorted(found, key=lambda name: list(first).index(name) if name in first else len(first))[:MAX_PANELS]


def _losses(
    label: str,
    entries: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    baselines: Mapping[str, float],
    path: Path,
) -> bool:
    if not names:
        return False
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(names) + 0.6, 3.4), layout="constrained")
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for axes, (name, unit) in zip(panels, names.items(), strict=True):
            _loss_panel(axes, entries, name)
            axes.set(title=f"{label}: {unit}", xlabel="gradient steps")
            for style, (key, meaning) in zip(("--", ":"), BASELINES.items(), strict=True):
                if name == "nll" and key in baselines:
                    axes.axhline(baselines[key], color=REFERENCE, linestyle=style, label=f"baseline: {meaning}")
            axes.legend()
        save_figure(figure, path)
    return True


def _loss_panel(axes: Axes, entries: Sequence[Mapping[str, Any]], name: str) -> None:
    drawn = {"training": (name, TRAINING, "-", ""), "held-out episodes": (f"validation/{name}", VALIDATION, "-", "o")}
    values: list[float] = []
    for label, (key, colour, line, marker) in drawn.items():
        points = [(entry["step"], entry[key]) for entry in entries if key in entry]
        if points:
            steps, numbers = zip(*points, strict=True)
            axes.plot(steps, numbers, line, color=colour, marker=marker, markersize=3, label=label)
            values += numbers
    if min(values) > 0 and max(values) > LOG_RATIO * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def controller_curves(folder: Path, name: str, config: ControllerConfig, path: Path) -> bool:
    """Draw a controller's evolution from its stage's folder; False if no generation is recorded yet.

    On the left the returns of the candidates in the world that they are tried in, on the right those of the
    distribution's mean in the real game, with the 95 % bootstrap interval of their average.
    """
    generations = read_history(folder)
    if not generations:
        return False
    world = "the real game" if config.world == "real" else f"M's dream at temperature {config.temperature:g}"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.8), layout="constrained")
        figure.suptitle(
            f"C ({name}): {len(generations)} generations of {len(generations[0].fitness)} candidates", fontsize=11.5
        )
        left, right = figure.subplots(1, 2)
        played = np.cumsum([entry.steps for entry in generations])
        _population_panel(left, generations, played)
        counts = {config.rollouts, *(entry.rollouts or config.rollouts for entry in generations)}
        episodes = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
        left.set(title=f"training: candidates in {world}", ylabel=f"mean return of {episodes} episodes")
        _validation_panel(right, generations, played, config.keep == "last")
        right.set(title="validation: the distribution's mean in the real game", ylabel="return")
        for axes in (left, right):
            axes.set_xlabel("game steps" if config.world == "real" else "dream steps")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        right.set_xlim(left.get_xlim())
        save_figure(figure, path)
    return True


def _population_panel(axes: Axes, generations: Sequence[Generation], played: np.ndarray) -> None:
    fitness = np.array([entry.fitness for entry in generations])  # (G, N)
    axes.fill_between(played, fitness.min(1), fitness.max(1), color=TRAINING, alpha=0.35, label="worst to best")
    marker = "o" if len(generations) == 1 else ""
    axes.plot(played, fitness.mean(1), color=VALIDATION, marker=marker, label="mean")
    axes.legend(loc="best")


def _validation_panel(axes: Axes, generations: Sequence[Generation], played: np.ndarray, keeps_last: bool) -> None:
    validated = [(at, entry) for at, entry in zip(played, generations, strict=True) if entry.validation]
    if not validated:
        axes.text(0.5, 0.5, "not yet validated", transform=axes.transAxes, ha="center", va="center")
        return
    steps = [at for at, _ in validated]
    measured = [statistics(np.array(entry.validation)) for _, entry in validated]
    means = np.array([row["mean"] for row in measured])
    spread = np.abs(np.array([row["interval"] for row in measured]).T - means)  # (2, K)
    counts = sorted({len(entry.validation or ()) for _, entry in validated})
    played_each = " or ".join(str(count) for count in counts)
    axes.errorbar(
        steps, means, spread, color=VALIDATION, marker="o", markersize=3, capsize=2, elinewidth=0.8,
        label=f"mean of {played_each} episodes, 95 % interval",
    )  # fmt: skip
    averaged = [(at, float(np.mean(entry.averaged))) for at, entry in validated if entry.averaged]
    if averaged:
        axes.plot(*zip(*averaged, strict=True), color=TRAINING, marker=".", label="average of the last means")
    kept = standing(generations, keeps_last)
    # none is better than what evolution began at: that played in the first validation
    at = steps[0] if kept.generation is None else played[kept.generation]
    axes.plot(at, kept.score, "*", color=REFERENCE, markersize=11, zorder=3, label=f"kept: {kept.score:.1f}")
    axes.legend(loc="best")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
