"""How unsure M is of each latent dimension, a step ahead and left alone, beside what came to pass."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.mixture import deviation, expectation
from worldmodels.metrics import say
from worldmodels.render.curves import REFERENCE, STYLE, TRAINING, VALIDATION, save_figure
from worldmodels.render.follow import Moment
from worldmodels.render.open_loop import future_of, futures

SHOWN = 6
"""Dimensions that the figure shows: those that vary most."""
DREAMS = 128
BAND = (5, 95)
"""Percentiles of the dreams that bound their band."""
SIGMAS = 2


class Expected(NamedTuple):
    """What M expected of K latents, each a step before: mean and standard deviation of its mixture."""

    mean: Float[Tensor, "k z"]
    deviation: Float[Tensor, "k z"]


def uncertainty_figure(memory: MDNRNN, episode: Sequence[Moment], temperature: float, path: Path, title: str) -> None:
    """Draw the dimensions that vary most: on the left M follows the episode, on the right it is left alone.

    M learns from samples of V's posterior, so what it expects is as wide as those, and the drawn means vary less.

    Args:
        memory: M.
        episode: of the agent.
        temperature: of the dreams on the right.
        path: of the PNG.
        title: who is shown.

    Raises:
        UserError: the episode is over before there is a future to predict.
    """
    future = future_of(episode)
    z = torch.cat([moment.z for moment in episode]).numpy()
    rest = z[-len(future) :]
    chosen = np.argsort(-rest.std(0))[:SHOWN]
    ahead = Expected(*(part[-len(future) + 1 :] for part in one_step(memory, episode)))
    dreams = futures(memory, future, temperature, DREAMS).numpy()  # (N, K, Z)
    steps = np.array([moment.step for moment in future])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 1.25 * len(chosen) + 0.9), layout="constrained")
        figure.suptitle(f"M's uncertainty of z: {title}", fontsize=11.5)
        panels = figure.subplots(len(chosen), 2, sharex=True, sharey="row", squeeze=False)
        for (left, right), dim in zip(panels, chosen, strict=True):
            mean, spread = ahead.mean[:, dim].numpy(), SIGMAS * ahead.deviation[:, dim].numpy()
            _panel(left, steps[1:], mean, mean - spread, mean + spread, rest[1:, dim])
            low, middle, high = np.percentile(dreams[:, :, dim], (BAND[0], 50, BAND[1]), axis=0)
            _panel(right, steps, middle, low, high, rest[:, dim])
            left.set_ylabel(f"z {dim}")
        _explain(panels, ahead, rest, dreams, temperature)
        save_figure(figure, path)
    say(f"Wrote {path}")


@torch.inference_mode()
def one_step(memory: MDNRNN, episode: Sequence[Moment]) -> Expected:
    """What M expected of all of an episode's T moments but the first: (T - 1, Z) each."""
    before = episode[:-1]
    state = State(*(torch.cat(parts) for parts in zip(*(moment.state for moment in before), strict=True)))
    action = torch.from_numpy(np.concatenate([moment.action for moment in before]))
    restart = torch.tensor([float(moment.step == 0) for moment in before])
    state = memory.step(torch.cat([moment.z for moment in before]), action, restart, state)
    mixture = memory.predict(state.h).mixture
    return Expected(expectation(mixture), deviation(mixture))


def share_within(values: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]) -> float:
    """Share of values that lie between two bounds of the same shape."""
    return float(((low <= values) & (values <= high)).mean())


def _panel(axes: Axes, steps: NDArray, middle: NDArray, low: NDArray, high: NDArray, truth: NDArray) -> None:
    axes.fill_between(steps, low, high, color=TRAINING, alpha=0.45, linewidth=0)
    axes.plot(steps, middle, color=VALIDATION, linewidth=1.0)
    axes.plot(steps, truth, color=REFERENCE, linewidth=1.2)


def _explain(panels: NDArray, ahead: Expected, rest: NDArray, dreams: NDArray, temperature: float) -> None:
    """Titles that say what the bands are and how often the truth was within, over all dimensions."""
    mean, spread = ahead.mean.numpy(), SIGMAS * ahead.deviation.numpy()
    near = share_within(rest[1:], mean - spread, mean + spread)
    low, high = np.percentile(dreams[:, 1:], BAND, axis=0)
    far = share_within(rest[1:], low, high)
    left, right = panels[0]
    left.set_title(f"one step ahead: mean ± {SIGMAS} standard deviations\n{near:.0%} of all latents are within")
    right.set_title(
        f"left alone, temperature {temperature:g}: median, {BAND[0]} to {BAND[1]} % of {DREAMS} dreams\n"
        f"{far:.0%} of all latents are within"
    )
    for axes in panels[-1]:
        axes.set_xlabel("step of the episode")
    lines = left.get_lines()
    left.legend(lines[::-1], ["V's latent of the game", "M"], loc="lower left", ncols=2)
