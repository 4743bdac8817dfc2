"""Episodes of scripted policies and of agents, in the game and in dreams, over the worker pool."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch

from worldmodels.agent import Agent
from worldmodels.calibration.policies import Cast, scripted_policies
from worldmodels.config import ComputeConfig, TaskConfig
from worldmodels.metrics import progress_bar
from worldmodels.options import identity
from worldmodels.play import Cuts, Outcomes, Policy, World, play
from worldmodels.played import Played
from worldmodels.runtime import pick_precision
from worldmodels.seeds import shortened
from worldmodels.workers import Pool

BLIND_LANES = 4
"""Games that a worker keeps for policies that see nothing: they are stepped in turn, so more would gain nothing."""


@dataclass(frozen=True)
class Trial:
    """Episodes in one world, the same ones for each of its players.

    Attributes:
        players: names of scripted policies; or one name of an agent, which plays with its own eyes.
        agent: whether the player is an agent.
        temperature: of the dream; None for the game.
        seeds: of the episodes.
        max_steps: step limit of an episode.
    """

    players: tuple[str, ...]
    agent: bool
    temperature: float | None
    seeds: tuple[int, ...]
    max_steps: int

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.players) * len(self.seeds)

    def describe(self) -> str:
        """What it is called in messages."""
        return f"{' and '.join(self.players)} with seeds {shortened(self.seeds)}"


class PlayTrial:
    """A worker's job: plays trials, keeping its last world for the next one.

    Args:
        dreamer: whose M dreams for the scripted policies.
        agents: agents by name.
        compute: lanes, and V's arithmetic.
    """

    def __init__(self, dreamer: Agent, agents: Mapping[str, Agent], compute: ComputeConfig) -> None:
        self.dreamer, self.agents, self.compute = dreamer, agents, compute
        self._key: object = None
        self._world: World | None = None

    def __call__(self, trial: Trial) -> Outcomes:
        """How the episodes went, those of the first player first."""
        agent = self.agents[trial.players[0]] if trial.agent else self.dreamer
        world = self._enter(agent, trial)
        seeds = np.tile(np.array(trial.seeds, np.int64), len(trial.players))
        return play(world, self._policy(agent, trial, world.num_envs), seeds, Cuts(max_steps=trial.max_steps))

    def _enter(self, agent: Agent, trial: Trial) -> World:
        eyes = trial.players if trial.agent else None
        lanes = self.compute.lanes if trial.agent else BLIND_LANES
        if trial.temperature is not None:
            lanes = min(self.compute.dream_lanes, trial.episodes)
        key = (eyes, lanes, trial.temperature, trial.max_steps)
        if self._world is None or key != self._key:
            self.close()
            if trial.temperature is not None:
                precision = pick_precision(self.compute, torch.device("cpu"))  # as C is trained
                self._world = agent.dream_world(lanes, trial.temperature, trial.max_steps, precision=precision)
            else:
                self._world = agent.real_world(lanes, self.compute, blind=not trial.agent)
            self._key = key
        return self._world

    def _policy(self, agent: Agent, trial: Trial, lanes: int) -> Policy:
        if trial.agent:
            return agent.policy(lanes, trial.episodes)
        known = scripted_policies(agent.task, agent.squash)
        roles = np.repeat(np.arange(len(trial.players)), len(trial.seeds))
        return Cast([known[name](lanes) for name in trial.players], roles, lanes)

    def close(self) -> None:
        """Close the last world."""
        if self._world is not None:
            self._world.close()
            self._world = None


def play_trials(
    trials: Mapping[Trial, object], played: Played, make_job: Callable[[], PlayTrial], compute: ComputeConfig
) -> dict[Trial, Outcomes]:
    """The outcomes of trials, each given with its key; what is kept under the key is not played again."""
    found = {trial: outcomes for trial, key in trials.items() if (outcomes := played.get(key)) is not None}
    missing = [trial for trial in trials if trial not in found]
    total, done = (sum(trial.episodes for trial in some) for some in (trials, found))
    if missing:
        pool = Pool(make_job, compute, describe=Trial.describe)
        with pool, progress_bar("Calibration", total, "episodes", done) as bar:
            for trial, outcomes in zip(missing, pool.map(missing), strict=True):
                played.put(trials[trial], outcomes)
                found[trial] = outcomes
                bar.advance(trial.episodes)
    return found


def key_of(trial: Trial, task: TaskConfig, maker: str) -> list[object]:
    """What decides a trial's outcomes; `maker` names the M or the agent, on neither of which a blind game depends."""
    blind = trial.temperature is None and not trial.agent
    return [asdict(trial), identity(task), None if blind else maker]
