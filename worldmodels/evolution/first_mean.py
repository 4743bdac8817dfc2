"""Where evolution begins: at the controller of the previous run, as it is or carried over, or at zero."""

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.agent import Agent, agent_at, load_parameters
from worldmodels.config import ControllerConfig, Part
from worldmodels.data.rollouts import rollouts_of
from worldmodels.errors import UserError
from worldmodels.evolution.carried import carried_over
from worldmodels.kept import CONTROLLER
from worldmodels.metrics import say
from worldmodels.previous import previous_run, previous_squash
from worldmodels.runs import Run
from worldmodels.stage import Stage
from worldmodels.tensors import save_tensors

FIRST = "first.safetensors"
"""The C that was carried over: another machine would round it otherwise."""


def part_of(config: ControllerConfig) -> Part | None:
    """The part of a run of which `anew` tells where C begins; None for a C that is carried over all the same."""
    return None if config.begin == "behaviour" else "controllers"


def check_begin(name: str, config: ControllerConfig) -> None:
    """Raise UserError if C cannot begin where it is to."""
    if config.begin == "behaviour" and config.hidden:
        raise UserError(
            f"controllers.{name}.begin is behaviour, which is for a linear C, and hidden is {config.hidden}: "
            "leave one of them out."
        )


def first_mean(run: Run, name: str, agent: Agent) -> NDArray[np.float32] | None:
    """Parameters (P,) of the previous run's controller `name`, at which this run's begins; None if it begins at zero.

    It does so without a previous run, and where that has no such controller, or one that sees or does something else.
    With `begin: behaviour` what it sees may differ: it is carried over, once.
    """
    config = run.config.controllers[name]
    before = previous_run(run, part_of(config))
    if before is None:
        return None
    stage = before.controller(name)
    if stage.started and previous_squash(before) in (None, agent.squash):
        stage.summary()
        if config.begin == "behaviour":
            return _carried(run, name, stage, agent)
        parameters = load_parameters(stage.folder / CONTROLLER)
        if len(parameters) == agent.form.parameters and _sees_the_same(run, stage, config):
            return parameters
    say(f"C {name} begins at zero: {before.folder} has no controller {name} that sees and does the same.")
    return None


def _carried(run: Run, name: str, stage: Stage, agent: Agent) -> NDArray[np.float32]:
    path = run.controller(name).folder / FIRST
    if not path.exists():
        parameters, explained = carried_over(agent_at(stage.folder), agent, rollouts_of(run), run.config.compute)
        shares = ", ".join(f"{share:.3f}" for share in explained)
        say(f"C {name} begins where it does most nearly what {stage.folder} does (R^2 of its outputs: {shares}).")
        save_tensors(path, {"parameters": torch.from_numpy(parameters)})
    parameters = load_parameters(path)
    if len(parameters) != agent.form.parameters:
        raise UserError(f"{path} is damaged: delete {path.parent} to evolve again.")
    return parameters


def _sees_the_same(run: Run, stage: Stage, config: ControllerConfig) -> bool:
    """Whether the entries of the previous parameters stand for the same features.

    Those of an untrained M are other ones with every seed; a checkpoint does not tell its run's.
    """
    kept = stage.section(ControllerConfig, "controller")
    if any(getattr(kept, option) != getattr(config, option) for option in ("inputs", "bias", "hidden", "memory")):
        return False
    return kept.memory == "trained" or stage.options().get("seed") == run.config.seed
