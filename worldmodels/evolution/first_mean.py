"""Where evolution begins: at the controller of the previous run, or at zero."""

import numpy as np
from numpy.typing import NDArray

from worldmodels.agent import Agent, load_parameters
from worldmodels.config import ControllerConfig
from worldmodels.kept import CONTROLLER
from worldmodels.metrics import say
from worldmodels.previous import previous_run
from worldmodels.runs import Run


def first_mean(run: Run, name: str, agent: Agent) -> NDArray[np.float32] | None:
    """Parameters (P,) of the previous run's controller `name`, at which this run's begins; None if it begins at zero.

    It does so without a previous run, and where that has no such controller, or one that sees something else.
    """
    before = previous_run(run)
    if before is None:
        return None
    stage = before.controller(name)
    if stage.started:
        stage.summary()
        kept = stage.section(ControllerConfig, "controller")
        parameters = load_parameters(stage.folder / CONTROLLER)
        if len(parameters) == agent.form.parameters and _sees(kept) == _sees(agent.config):
            return parameters
    say(f"C {name} begins at zero: {before.folder} has no controller {name} that sees the same.")
    return None


def _sees(config: ControllerConfig) -> tuple[str, bool, str]:
    """What the entries of the parameters stand for."""
    return config.inputs, config.bias, config.memory
