"""Latent arithmetic made visible: z' = z + alpha v, on frames and inside running dreams."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.agent import Agent
from worldmodels.data.encoding import encode
from worldmodels.dream.edited import EditedDreams
from worldmodels.measure.attributes import Attribute
from worldmodels.pictures import Frames, enlarge
from worldmodels.render.latent_space import pictures_of
from worldmodels.render.layout import captioned, column, labelled, row, text_size
from worldmodels.render.overlay import dimmed, line, write_on
from worldmodels.seeds import test_seeds
from worldmodels.vision.base import VisionModel, picture

STEPS = 9
"""Values of alpha in a strip, 0 among them."""


def strip(
    vision: VisionModel, attribute: Attribute, frames: Frames, alpha: float, scale: int
) -> tuple[Frames, list[float]]:
    """A row a frame (N, 64, 64, 3): the frame, then its latent moved by -alpha to alpha times the attribute's vector.

    Returns the picture, and what the attribute's probe reads from the moved frames, encoded again: means over the
    frames, a number a column.
    """
    cpu = torch.device("cpu")
    z, _ = encode(vision, frames, cpu)
    alphas = np.linspace(-alpha, alpha, STEPS, dtype=np.float32)
    moved = z[:, None] + alphas[None, :, None] * attribute.vector
    shown = pictures_of(vision, moved.reshape(-1, z.shape[1]))
    read = attribute.read(encode(vision, shown, cpu)[0]).reshape(len(z), STEPS).mean(0)
    size, width = max(11, text_size(scale)), 64 * scale
    heads = ["the frame", *(f"{value:+.2g} v" if value else "z" for value in alphas)]
    rows = [row([line(head, width, size, "centre", True) for head in heads])]
    for frame, edited in zip(frames, shown.reshape(len(z), STEPS, *frames.shape[1:]), strict=True):
        rows.append(row([enlarge(part, scale) for part in (frame, *edited)]))
    low, high = attribute.label.low, attribute.label.high
    told = ["read back:", *(f"{value:.3g}" for value in read)]
    rows.append(row([line(text, width, size, "centre", True) for text in told]))
    body = column(rows, gap=2)
    title = f"{attribute.label.name}: {low} (left) to {high} (right); {attribute.label.meaning}"
    return column([line(title, body.shape[1], size), body], gap=0), read.tolist()


class EditedMoment(NamedTuple):
    """Time t of D dreams: pushed towards the attribute's lower end, left alone, and pushed towards its upper end.

    Attributes:
        alpha: by how many times the attribute's vector the newest latents were moved, down and up.
        frames: what V makes of the latents, uint8 (3, D, 64, 64, 3).
        read: what the attribute's probe reads from those frames, encoded again, (3, D).
        over: bool (3, D), dreams that have ended.
    """

    alpha: float
    frames: Frames
    read: NDArray[np.float64]
    over: NDArray[np.bool_]


SIGNS = (-1.0, 0.0, 1.0)
"""Which way the three are pushed."""
ALONE = 1
"""Place of the dreams that are left alone."""


def edited_dreams(
    agent: Agent, attribute: Attribute, alphas: Sequence[float], dreams: int, temperature: float
) -> Iterator[EditedMoment]:
    """Dreams of the first test seeds, and the same with each new latent moved by alphas[t] times the vector, both ways.

    All have the same noise and the same actions, those that C chooses in the dream that is left alone: what differs
    is the edit's doing. Ends when every dream has.
    """
    lanes = len(SIGNS) * dreams
    starts, inputs = agent.starts.only_first(), agent.config.inputs
    world = EditedDreams(agent.memory, starts, agent.squash, lanes, inputs, temperature, len(alphas) + 1)
    policy = agent.policy(lanes, lanes)
    seeds = len(SIGNS) * test_seeds(dreams)
    push = torch.tensor(SIGNS).repeat_interleave(dreams)[:, None] * torch.from_numpy(attribute.vector)
    with closing(world):
        for lane, seed in enumerate(seeds):
            policy.begin(lane, lane, seed)
        features, _ = world.reset(seed=seeds)
        frames = picture(agent.vision, world.z)
        for alpha in alphas:
            actions = policy.act(features).reshape(len(SIGNS), dreams, -1)
            world.edit = alpha * push
            over = world.over.copy()  # they keep their last frame
            features, *_ = world.step(np.concatenate([actions[ALONE]] * len(SIGNS)))
            frames = np.where(over[:, None, None, None], frames, picture(agent.vision, world.z))
            read = attribute.read(encode(agent.vision, frames, torch.device("cpu"))[0])
            both = (len(SIGNS), dreams)
            shown = frames.reshape(*both, *frames.shape[1:])
            yield EditedMoment(alpha, shown, read.reshape(both), world.over.reshape(both).copy())
            if world.over.all():
                return


def ramp(alpha: float, steps: int) -> list[float]:
    """0 for an eighth of the time, then up to alpha until three quarters of it, and alpha from there on."""
    return np.interp(np.arange(steps), [steps / 8, 3 * steps / 4], [0.0, alpha]).tolist()


def dream_pictures(attribute: Attribute, moments: Iterator[EditedMoment], scale: int, title: str) -> Iterator[Frames]:
    """The pictures of the video: a row a dream, in the middle left alone, with what the probe reads from it."""
    size, label = text_size(scale), attribute.label
    for step, moment in enumerate(moments):
        panes = []
        for frames, numbers, ends in zip(moment.frames, moment.read, moment.over, strict=True):
            cells = [
                write_on(dimmed(enlarge(frame, scale)), "ended", size)
                if over
                else write_on(enlarge(frame, scale), f"{label.name} {value:.3g}", size)
                for frame, value, over in zip(frames, numbers, ends, strict=True)
            ]
            panes.append(column(cells))
        heads = [f"z - {moment.alpha:.2f} v: {label.low}", "left alone", f"z + {moment.alpha:.2f} v: {label.high}"]
        yield captioned(labelled(panes, heads, size), f"step {step:4d}", title, size)
