"""Where evolution begins: at the controller of the previous run, or at zero."""

import numpy as np
from numpy.typing import NDArray

from worldmodels.agent import Agent, load_parameters
from worldmodels.config import ControllerConfig
from worldmodels.kept import CONTROLLER
from worldmodels.metrics import say
from worldmodels.previous import previous_run, previous_squash
from worldmodels.runs import Run
from worldmodels.stage import Stage


def first_mean(run: Run, name: str, agent: Agent) -> NDArray[np.float32] | None:
    """Parameters (P,) of the previous run's controller `name`, at which this run's begins; None if it begins at zero.

    It does so without a previous run, and where that has no such controller, or one that sees or does something else.
    """
    before = previous_run(run, "controllers")
    if before is None:
        return None
    stage = before.controller(name)
    if stage.started:
        stage.summary()
        parameters = load_parameters(stage.folder / CONTROLLER)
        fits = len(parameters) == agent.form.parameters
        if fits and _sees_the_same(run, stage, agent.config) and previous_squash(before) in (None, agent.squash):
            return parameters
    say(f"C {name} begins at zero: {before.folder} has no controller {name} that sees and does the same.")
    return None


def _sees_the_same(run: Run, stage: Stage, config: ControllerConfig) -> bool:
    """Whether the entries of the previous parameters stand for the same features.

    Those of an untrained M are other ones with every seed; a checkpoint does not tell its run's.
    """
    kept = stage.section(ControllerConfig, "controller")
    if any(getattr(kept, option) != getattr(config, option) for option in ("inputs", "bias", "hidden", "memory")):
        return False
    return kept.memory == "trained" or stage.options().get("seed") == run.config.seed
