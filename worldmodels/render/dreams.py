"""Agents dreaming: a grid of dreams, or rows of the same dreams at several temperatures."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldmodels.agent import Agent
from worldmodels.config import RenderConfig
from worldmodels.dream import DreamVectorEnv
from worldmodels.metrics import progress_bar
from worldmodels.pictures import Frames, enlarge
from worldmodels.play import Policy
from worldmodels.render.layout import captioned, column, row, text_size
from worldmodels.render.overlay import dimmed, line, write_on
from worldmodels.render.real import HOLD_SECONDS, held
from worldmodels.render.video import write_video
from worldmodels.seeds import test_seeds
from worldmodels.vision.base import VisionModel, picture


@dataclass
class Dream:
    """One dream as it is shown.

    Attributes:
        frame: what V decodes its latent to, or its last frame if it is over, (64, 64, 3).
        step: steps dreamt.
        score: sum of the rewards that M predicted; None if M predicts neither rewards nor ends.
        over: whether it has ended.
    """

    frame: Frames
    step: int
    score: float | None
    over: bool


def dream_video(
    agent: Agent, path: Path, options: RenderConfig, temperatures: Sequence[float], dreams: int, title: str
) -> None:
    """Write a video of an agent's dreams, all of them driven by its C.

    At one temperature the dreams form a grid; at several each has a row, and every row begins from the same starts.
    An M without heads for reward and end dreams on until the video ends.

    Args:
        agent: who dreams.
        path: name of the MP4.
        options: length, scale, and whether a GIF is wanted.
        temperatures: of the dreams, one or more.
        dreams: dreams a temperature, of the first test seeds.
        title: who dreams, in the lower right corner.

    Raises:
        UserError: M kept no starts.
    """
    fps = agent.task.fps
    steps = max(1, round(options.seconds * fps))
    limit = max(steps, agent.task.max_steps)
    seeds = test_seeds(dreams)
    with progress_bar("Dream video", steps, "frames") as bar:
        groups = [dream_on(agent, temperature, seeds, limit) for temperature in temperatures]

        def pictures() -> Iterator[Frames]:
            for rows in held_together(groups, steps):
                bar.advance()
                yield arranged(rows, temperatures, options.scale, title)

        write_video(path, held(pictures(), round(HOLD_SECONDS * fps), steps), fps, options.gif)
        bar.say(f"Wrote {path}")


def dream_on(agent: Agent, temperature: float, seeds: Sequence[int], max_steps: int) -> Iterator[list[Dream]]:
    """An agent's dreams of some seeds, step by step, until all have ended."""
    lanes = len(seeds)
    world = DreamVectorEnv(
        agent.memory, agent.starts.only_first(), agent.squash, lanes, agent.config.inputs, temperature, max_steps
    )
    with closing(world):
        yield from dream_in(world, agent.policy(lanes, lanes), agent.vision, seeds)


def dream_in(world: DreamVectorEnv, policy: Policy, vision: VisionModel, seeds: Sequence[int]) -> Iterator[list[Dream]]:
    """The same in any world of as many lanes as there are seeds, with any policy."""
    for lane, seed in enumerate(seeds):
        policy.begin(lane, lane, seed)
    features, _ = world.reset(seed=list(seeds))
    a_game = world.memory.config.reward_head or world.memory.config.done_head
    frames = picture(vision, world.z)
    dreams = [Dream(frame, 0, 0.0 if a_game else None, False) for frame in frames]
    yield dreams
    while not world.over.all():
        playing = np.flatnonzero(~world.over)
        features, rewards, _, _, _ = world.step(policy.act(features))
        frames = picture(vision, world.z)
        dreams = list(dreams)
        for lane in playing.tolist():
            before = dreams[lane]
            score = None if before.score is None else before.score + float(rewards[lane])
            dreams[lane] = Dream(frames[lane], before.step + 1, score, bool(world.over[lane]))
        yield dreams


def held_together(groups: Sequence[Iterator[list[Dream]]], steps: int) -> Iterator[list[list[Dream]]]:
    """Groups of dreams side by side for `steps` moments, or until the last group has ended; others keep their last."""
    shown: list[list[Dream]] = [[] for _ in groups]
    for _ in range(steps):
        following = [next(group, None) for group in groups]
        if all(group is None for group in following):
            return
        shown = [old if new is None else new for old, new in zip(shown, following, strict=True)]
        yield shown


def arranged(rows: Sequence[list[Dream]], temperatures: Sequence[float], scale: int, title: str) -> Frames:
    """A picture of dreams: a square grid at one temperature, else a row a temperature."""
    size = text_size(scale)
    step = max(dream.step for group in rows for dream in group)
    if len(rows) == 1:
        cells = [cell(dream, scale) for dream in rows[0]]
        across = math.ceil(math.sqrt(len(cells)))
        blank = [np.zeros_like(cells[0])] * (-len(cells) % across)
        cells += blank
        grid = column([row(cells[first : first + across]) for first in range(0, len(cells), across)])
        return captioned(grid, f"dream, temperature {temperatures[0]:g}    step {step:4d}", title, size)
    parts = []
    for group, temperature in zip(rows, temperatures, strict=True):
        strip = row([cell(dream, scale) for dream in group])
        parts.append(column([line(f"temperature {temperature:g}", strip.shape[1], size), strip], gap=0))
    return captioned(column(parts), f"dreams from the same starts    step {step:4d}", title, size)


def cell(dream: Dream, scale: int) -> Frames:
    """One dream: its frame enlarged, with the reward so far; dimmed once it is over."""
    shown = enlarge(dream.frame, scale)
    words = [] if dream.score is None else [f"reward {dream.score:.1f}"]
    if dream.over:
        shown, words = dimmed(shown), [f"ended at step {dream.step}", *words]
    return write_on(shown, "  ".join(words), text_size(scale)) if words else shown
