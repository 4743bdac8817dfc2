"""How far M can see: the real future beside M's dream of it, from the same moment and with the same actions."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig, RenderConfig
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.mixture import sample
from worldmodels.metrics import progress_bar, say
from worldmodels.noise import even, normal, uniform
from worldmodels.pictures import Frames, enlarge, write_png
from worldmodels.render.follow import Moment, follow
from worldmodels.render.layout import captioned, column, labelled, row, text_size
from worldmodels.render.overlay import line
from worldmodels.render.video import write_video
from worldmodels.seeds import test_seeds
from worldmodels.vision.base import VisionModel, picture

START = 100
"""Step at which M is left alone, in an episode that is long enough."""
HORIZON = 100
"""Steps that M then predicts without seeing any."""
SHOWN = (0, 1, 2, 5, 10, 20, 35, 50, 75, 100)
"""Steps after the start that the strip shows."""
MIN_FUTURE = 2


class Comparison(NamedTuple):
    """The future as it was and as M dreamt it, each uint8 (K, 64, 64, 3); the first frame of all is that of the start.

    Attributes:
        start: step of the episode at which M was left alone.
        rows: a label and its frames.
    """

    start: int
    rows: list[tuple[str, Frames]]


def episode_of(agent: Agent, compute: ComputeConfig, score: bool = True) -> list[Moment]:
    """The beginning of the agent's episode of the first test seed, up to the horizon.

    `score`: in the game in which final scores are reported.
    """
    length = START + HORIZON + 1
    with progress_bar("Open loop", length, "steps") as bar:
        episode = []
        for moment in follow(agent, compute, test_seeds(1)[0], length, score):
            episode.append(moment)
            bar.advance()
    return episode


def open_loop(agent: Agent, episode: Sequence[Moment], path: Path, options: RenderConfig, title: str) -> None:
    """Write the comparison as a strip `path`.png and as a video `path`.mp4.

    Args:
        agent: whose M is left alone.
        episode: of the same agent.
        path: name without an ending.
        options: the temperature of the sampled future, the scale, and whether a GIF is wanted.
        title: who is shown, in the video's lower right corner.

    Raises:
        UserError: the episode is over before there is a future to predict.
    """
    found = compare(agent.vision, agent.memory, episode, sorted({0.0, options.temperature}))
    write_png(path.with_name(path.name + ".png"), strip(found, max(1, options.scale // 2)))
    video = path.with_name(path.name + ".mp4")
    write_video(video, side_by_side(found, options.scale, title), agent.task.fps / SLOWER, options.gif)
    say(f"Wrote {video} and its .png")


SLOWER = 2.5
"""The video is so much slower than the game: its second or two are for comparing."""


def compare(
    vision: VisionModel, memory: MDNRNN, episode: Sequence[Moment], temperatures: Sequence[float]
) -> Comparison:
    """What M dreams of an episode's rest, at each temperature, beside the rest itself."""
    future = future_of(episode)
    rows = [
        ("the game", np.stack([moment.frame for moment in future])),
        ("V's reconstruction", picture(vision, torch.cat([moment.z for moment in future]))),
    ]
    for temperature in temperatures:
        rows.append((f"M alone, temperature {temperature:g}", picture(vision, alone(memory, future, temperature))))
    return Comparison(future[0].step, rows)


def future_of(episode: Sequence[Moment]) -> Sequence[Moment]:
    """What comes after the moment at which M is left alone, itself included; UserError if that is nothing."""
    future = episode[min(START, (len(episode) - 1) // 2) :]
    if len(future) < MIN_FUTURE:
        raise UserError(f"The episode was over after {len(episode)} frames: there is no future for M to predict.")
    return future


def alone(memory: MDNRNN, future: Sequence[Moment], temperature: float) -> Float[Tensor, "k z"]:
    """Latents of K moments: the first is real, each other one M's sample after the last one and the real action."""
    return futures(memory, future, temperature, 1)[0]


@torch.inference_mode()
def futures(memory: MDNRNN, future: Sequence[Moment], temperature: float, dreams: int) -> Float[Tensor, "n k z"]:
    """The same in N dreams, the first of them that of `alone`."""
    z, state = future[0].z.expand(dreams, -1), State(*(part.expand(dreams, -1) for part in future[0].state))
    seeds, dim, dreamt = torch.tensor(test_seeds(dreams)), memory.latent_dim, [z]
    for moment in future[:-1]:
        action = torch.from_numpy(moment.action).expand(dreams, -1)
        state = memory.step(z, action, torch.full((dreams,), float(moment.step == 0)), state)
        numbers = uniform(seeds, torch.full((dreams,), moment.step), 2 * even(dim))
        pick, noise = numbers.chunk(2, 1)
        z = sample(memory.predict(state.h).mixture, temperature, pick[:, :dim], normal(noise)[:, :dim])
        dreamt.append(z)
    return torch.stack(dreamt, 1)


def strip(found: Comparison, scale: int) -> Frames:
    """A picture: a column a moment, the rows of the comparison under one another."""
    count = len(found.rows[0][1])
    shown = [step for step in SHOWN if step < count]
    size = max(11, text_size(scale))
    heads = [line(f"t + {step}" if step else f"t = {found.start}", 64 * scale, size, "centre", True) for step in shown]
    parts = [row(heads)]
    for label, frames in found.rows:
        cells = row([enlarge(frames[step], scale) for step in shown])
        parts += [line(label, cells.shape[1], size), cells]
    return column(parts, gap=2)


def side_by_side(found: Comparison, scale: int, title: str) -> Iterator[Frames]:
    """The pictures of the video: the rows of the comparison beside one another."""
    labels, size = [label for label, _ in found.rows], text_size(scale)
    for step in range(len(found.rows[0][1])):
        panes = [enlarge(frames[step], scale) for _, frames in found.rows]
        text = f"step {found.start} + {step}: M has seen nothing since" if step else f"step {found.start}"
        yield captioned(labelled(panes, labels, size), text, title, size)
