"""The agents that one may visit: finished controllers of a run, and checkpoints."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from worldmodels.agent import Agent, agent_of_run, load_agent
from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.metrics import say
from worldmodels.playground.buttons import Layout, layout_for
from worldmodels.runs import Run
from worldmodels.runtime import pick_precision
from worldmodels.vision.base import VisionModel


@dataclass(frozen=True)
class Role:
    """An agent as visitors meet it.

    Attributes:
        name: by which it is chosen.
        agent: who dreams.
        painter: its V in the arithmetic in which dreams are painted.
        layout: how its game is played by hand.
        compute: arithmetic of the V that follows the real game.
    """

    name: str
    agent: Agent
    painter: VisionModel
    layout: Layout
    compute: ComputeConfig

    @classmethod
    def of(cls, name: str, agent: Agent, compute: ComputeConfig) -> "Role":
        """The role of an agent."""
        precision = pick_precision(compute, torch.device("cpu"))
        painter = agent.vision if precision == torch.float32 else copy.deepcopy(agent.vision).to(precision)
        return cls(name, agent, painter, layout_for(agent.task.name, agent.squash), compute)


def gather(run: Run, names: Sequence[str], checkpoints: Sequence[Path]) -> dict[str, Role]:
    """The agents to choose from, by name: the run's controllers first.

    Args:
        run: may be a folder that does not exist, if there are checkpoints.
        names: of the run's controllers; empty: all finished ones whose M was trained.
        checkpoints: folders of agents.

    Raises:
        UserError: an agent is damaged or cannot dream, or there is none.
    """
    agents: dict[str, Agent] = {}
    for controller in names or _finished(run):
        agent, name = agent_of_run(run, controller), f"{run.folder.name}: {controller}"
        if agent.starts.first.any() or names:
            agents[name] = agent
        else:
            say(f"The agent {name} carries an untrained M and is left out: it has no dreams to visit.")
    for folder in checkpoints:
        name = folder.resolve().name
        agents[str(folder) if name in agents else name] = load_agent(folder)
    for name, agent in agents.items():
        if not agent.starts.first.any():
            raise UserError(f"The agent {name} carries an untrained M: it has no dreams to visit.")
    if not agents:
        raise UserError(
            f"There is no agent to visit: {run.folder} holds no finished controller. "
            "Train one, or name a trained agent's folder with --checkpoint."
        )
    return {name: Role.of(name, agent, run.config.compute) for name, agent in agents.items()}


def _finished(run: Run) -> list[str]:
    """Names of the run's finished controllers."""
    return [name for name in run.config.controllers if run.controller(name).done]
