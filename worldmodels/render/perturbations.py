"""What perturbations do to what the agent sees, as a picture."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np

from worldmodels.envs.actions import Actions, Squash
from worldmodels.envs.frames import Frame
from worldmodels.envs.perturbations import KINDS, Perturbation, make_perturbed_game
from worldmodels.errors import UserError
from worldmodels.exploration.policies import explore_mean
from worldmodels.metrics import say
from worldmodels.pictures import Frames, enlarge, write_png
from worldmodels.render.layout import column, row
from worldmodels.render.overlay import line
from worldmodels.runs import Run
from worldmodels.seeds import test_seeds

EPISODES, MOMENTS, FIRST = 2, 5, 60
"""Episodes shown of each perturbation, consecutive frames of each, and the step of the first one."""
SCALE, TEXT = 2, 13


def render_perturbations(run: Run, to: Path) -> None:
    """Draw the frames that an agent sees under each perturbation, a row each, as a PNG.

    Those of `evaluate.perturbations`, or all that the game knows if none are named. No agent plays: all rows take one
    and the same action throughout, the middle of the exploring policies' ones.

    Raises:
        UserError: a perturbation is unknown or not to be had with the game, or the picture cannot be written.
    """
    if not to.parent.is_dir():
        raise UserError(f"There is no folder {to.parent} for the picture: give another name with --to.")
    if to.is_dir():
        raise UserError(f"{to} is a folder, not a name for the picture: give another one with --to.")
    named = [Perturbation.parse(text) for text in run.config.evaluate.perturbations]
    rows = [_row(run, None), *(_row(run, one) for one in named or _all_known(run))]
    write_png(to, column(rows))
    say(f"Wrote {to}")


def _all_known(run: Run) -> Iterator[Perturbation]:
    """All perturbations but those that need a game of their own and cannot have it."""
    for name in KINDS:
        perturbation = Perturbation.parse(name)
        try:
            make_perturbed_game(run.config.task, perturbation=perturbation).close()
        except UserError:
            continue
        yield perturbation


def _row(run: Run, perturbation: Perturbation | None) -> Frames:
    with contextlib.closing(make_perturbed_game(run.config.task, perturbation=perturbation)) as game:
        squash: Squash = game.get_wrapper_attr("squash")
        middle = explore_mean(run.config.task, squash).astype(np.float32)
        episodes = [_moments(game, squash(middle[None])[0], seed) for seed in test_seeds(EPISODES)]
    pictures = row([row([enlarge(frame, SCALE) for frame in moments], gap=1) for moments in episodes], gap=8)
    return column([line(str(perturbation or "nothing"), pictures.shape[1], TEXT), pictures], gap=0)


def _moments(game: gym.Env, action: Actions, seed: int) -> list[Frame]:
    """The last frames of an episode that is played up to `FIRST + MOMENTS` frames, or to its end."""
    frame, _ = game.reset(seed=seed)
    shown = [frame.copy()]  # a game may show the same array again and again
    while len(shown) < FIRST + MOMENTS:
        frame, _, terminated, truncated, _ = game.step(action)
        shown.append(frame.copy())
        if terminated or truncated:
            break
    return shown[-MOMENTS:]
