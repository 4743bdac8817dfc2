"""The guards of a run's training dreams, with the Ms that they need."""

import torch

from worldmodels.config import ControllerConfig
from worldmodels.dream import Guards
from worldmodels.errors import UserError
from worldmodels.memory.starts import Starts
from worldmodels.memory.train import trained_member
from worldmodels.runs import Run
from worldmodels.stage import Stage


def asks_for_ensemble(config: ControllerConfig) -> bool:
    """Whether a controller is evolved in a dream that several Ms have a part in."""
    return config.world == "dream" and config.ensemble != "none"


def check_world(name: str, config: ControllerConfig) -> None:
    """Raise UserError if a controller that is evolved in the game has options of a dream."""
    plain = ControllerConfig()
    options = ("ensemble", "dropout", "start", "ends")
    asked = [option for option in options if getattr(config, option) != getattr(plain, option)]
    if config.world == "real" and asked:
        raise UserError(
            f"controllers.{name}.{asked[0]} is of dreams, and this controller is evolved in the game: "
            "give it world: dream, or leave the option out."
        )


def other_members(run: Run) -> list[Stage]:
    """The stages of the Ms beside the first; UserError if there are to be none."""
    count = run.config.memory.members
    if count < 2:
        raise UserError(
            "An ensemble needs more than one M: train them with scripts/train_memory.py "
            f"--run {run.folder} --memory.members 3."
        )
    return [run.member(number) for number in range(1, count)]


def training_guards(run: Run, config: ControllerConfig, starts: Starts) -> Guards:
    """The guards of training dreams that begin at `starts`; UserError if they need Ms, or a head, that are missing."""
    if config.ends == "weighed" and not run.config.memory.done_head:
        raise UserError("This M predicts no ends that could be weighed: train it with memory.done_head, or draw them.")
    if not asks_for_ensemble(config):
        return Guards(config.dropout, ends=config.ends)
    others = []
    for number, stage in enumerate(other_members(run), 1):
        others.append(trained_member(run, number))
        if not torch.equal(others[-1][1].mu, starts.mu):
            raise UserError(f"{stage.folder} is of other latents than M: delete it and run {stage.command} again.")
    return Guards(config.dropout, config.ensemble, config.disagreement, tuple(others), config.ends)
