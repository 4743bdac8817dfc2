"""The agent in the real game in three panes: what it sees, what V keeps of it, and what M had expected."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig, RenderConfig
from worldmodels.metrics import progress_bar
from worldmodels.pictures import Frames, enlarge
from worldmodels.render.follow import Moment, follow
from worldmodels.render.layout import captioned, labelled, text_size
from worldmodels.render.overlay import BACKGROUND
from worldmodels.render.video import write_video
from worldmodels.seeds import test_seeds
from worldmodels.vision.base import VisionModel, picture

LABELS = ("the game", "V's reconstruction", "M's prediction, one step ahead")
DECODED_AT_ONCE = 32
HOLD_SECONDS = 1.0
"""How long the last picture stays when an episode ends within the video."""


def real_video(
    agent: Agent, path: Path, options: RenderConfig, compute: ComputeConfig, title: str, score: bool = True
) -> None:
    """Write a video of the agent's episode with the first test seed.

    Args:
        agent: who plays.
        path: name of the MP4.
        options: length, scale, and whether a GIF is wanted.
        compute: V's arithmetic.
        title: who is shown, in the lower right corner.
        score: show the game in which final scores are reported rather than the one the agent learned in.
    """
    fps = agent.task.fps
    steps = max(1, round(options.seconds * fps))
    moments = follow(agent, compute, test_seeds(1)[0], steps, score)
    with progress_bar("Real video", steps, "frames") as bar:

        def pictures() -> Iterator[Frames]:
            for shown in held(
                three_panes(agent.vision, moments, options.scale, title), round(HOLD_SECONDS * fps), steps
            ):
                bar.advance()
                yield shown

        write_video(path, pictures(), fps, options.gif)
        bar.say(f"Wrote {path}")


def three_panes(vision: VisionModel, moments: Iterable[Moment], scale: int, title: str) -> Iterator[Frames]:
    """A picture a moment: all three panes show time t, the third as M expected it at t - 1."""
    size = text_size(scale)
    moments = iter(moments)
    while group := list(itertools.islice(moments, DECODED_AT_ONCE)):
        for moment, panes in zip(group, panes_of(vision, group), strict=True):
            end = "    end of the episode" if moment.over else ""
            text = f"step {moment.step:4d}    score {moment.score:7.1f}{end}"
            yield captioned(labelled([enlarge(pane, scale) for pane in panes], LABELS, size), text, title, size)


def panes_of(vision: VisionModel, moments: Sequence[Moment]) -> Frames:
    """Of K moments the game's frame, V's reconstruction of it, and M's prediction of it (empty at t = 0).

    Returns:
        uint8 (K, 3, 64, 64, 3).
    """
    seen = np.stack([moment.frame for moment in moments])
    kept = picture(vision, torch.cat([moment.z for moment in moments]))
    expected = [moment.z if moment.expected is None else moment.expected for moment in moments]
    predicted = picture(vision, torch.cat(expected))
    predicted[[moment.expected is None for moment in moments]] = BACKGROUND
    return np.stack([seen, kept, predicted], axis=1)


def held(pictures: Iterable[Frames], hold: int, most: int) -> Iterator[Frames]:
    """The pictures, the last one shown `hold` times more, `most` in all."""
    count, last = 0, None
    for last in pictures:
        count += 1
        yield last
    if last is not None:
        for _ in range(min(hold, most - count)):
            yield last
