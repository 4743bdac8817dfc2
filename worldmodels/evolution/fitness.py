"""What a candidate is worth: its returns over seeds, in the game or in the dream, by the same call."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig, DreamStart
from worldmodels.dream import DreamRollouts, Guards
from worldmodels.envs.perturbations import Perturbation
from worldmodels.play import Cuts, Outcomes, Policy, RandomPolicy, World, bad_action, check_returns, play
from worldmodels.runtime import pick_device, pick_precision, settled
from worldmodels.seeds import shortened
from worldmodels.workers import Pool

WorldName = Literal["real", "dream", "blind"]


class Trial(NamedTuple):
    """A piece of work: one episode an item, by candidate `players[i]` of `candidates` with seed `seeds[i]`.

    The world "blind" is the real game without V and M, played by a random policy whatever the candidates are. `first`
    is the number of the first of the candidates among all that are being played.
    """

    world: WorldName
    candidates: NDArray[np.float32]
    players: NDArray[np.int64]
    seeds: NDArray[np.int64]
    cuts: Cuts
    first: int = 0

    def describe(self) -> str:
        """What it is called in messages."""
        last = self.first + len(self.candidates) - 1
        who = f"candidate {last}" if last == self.first else f"candidates {self.first} to {last}"
        return f"{who} with seeds {shortened(np.unique(self.seeds).tolist())} ({self.world})"


@dataclass(frozen=True)
class Worlds:
    """How the worlds are made that trials take place in.

    Attributes:
        agent: whose game and dream they are; candidates play in the place of its C.
        compute: how many games or dreams side by side, and their arithmetic.
        temperature: of the dream.
        score: the game is the one in which scores are reported, rather than the one that was learned.
        start: where dreams begin, "first" or "any".
        guards: how dreams differ from M's own.
        perturbation: what comes between the game and the agent, if anything does.
    """

    agent: Agent
    compute: ComputeConfig
    temperature: float
    score: bool = False
    start: DreamStart = "first"
    guards: Guards = field(default_factory=Guards)
    perturbation: Perturbation | None = None


class PlayTrials:
    """A worker's job: plays trials, keeping its games and dreams from one to the next."""

    def __init__(self, worlds: Worlds) -> None:
        self.worlds = worlds
        self._made: dict[str, World] = {}

    def __call__(self, trial: Trial) -> Outcomes:
        """Returns, lengths and successes of a trial's episodes."""
        world = self._world(trial.world)
        agent = self.worlds.agent
        policy: Policy = agent.policy(world.num_envs, len(trial.seeds), trial.candidates, trial.players)
        if trial.world == "blind":
            policy = RandomPolicy(agent.squash, world.num_envs)
        return play(world, policy, trial.seeds, trial.cuts)

    def _world(self, name: WorldName) -> World:
        if name not in self._made:
            agent, compute = self.worlds.agent, self.worlds.compute
            if name != "dream":
                score, blind, perturbation = self.worlds.score, name == "blind", self.worlds.perturbation
                self._made[name] = agent.real_world(
                    compute.lanes, compute, score, blind=blind, perturbation=perturbation
                )
            else:
                self._made[name] = agent.dream_world(
                    compute.dream_lanes,
                    self.worlds.temperature,
                    start=self.worlds.start,
                    precision=pick_precision(compute, torch.device("cpu")),
                    guards=self.worlds.guards,
                )
        return self._made[name]

    def close(self) -> None:
        """Close the games."""
        for world in self._made.values():
            world.close()


class Fitness:
    """Plays candidates on seeds over a pool of workers; on a GPU, dreams all of them at once in this process.

    Attributes:
        dreams_at_once: whether it does the latter.
    """

    def __init__(self, worlds: Worlds) -> None:
        self.worlds, self.device = worlds, pick_device(worlds.compute)
        self.dreams_at_once = self.device.type == "cuda"

    def __enter__(self) -> "Fitness":
        return self

    def __exit__(self, *error: object) -> None:
        if "pool" in self.__dict__:
            self.pool.close()

    @cached_property
    def pool(self) -> Pool[Trial, Outcomes]:
        """The workers; they are called up when there is something to do."""
        compute = settled(self.worlds.compute)
        return Pool(partial(PlayTrials, replace(self.worlds, compute=compute)), compute, describe=Trial.describe)

    @cached_property
    def dreams(self) -> DreamRollouts:
        """The dreams of a whole population at once."""
        worlds, precision = self.worlds, pick_precision(self.worlds.compute, self.device)
        lanes = worlds.compute.gpu_dream_lanes
        how = worlds.temperature, self.device, worlds.start, precision, worlds.guards
        return worlds.agent.dream_rollouts(lanes, *how)

    def evaluate(
        self,
        candidates: NDArray[np.float32],
        seeds: NDArray[np.int64],
        world: WorldName,
        cuts: Cuts = Cuts(),  # noqa: B008  # immutable
    ) -> Outcomes:
        """All candidates (N, P) on all seeds (K,); every field of the outcomes is (N, K)."""
        players = np.repeat(np.arange(len(candidates)), len(seeds))
        played = np.tile(seeds, len(candidates))
        play = self._dream if world == "dream" and self.dreams_at_once else partial(self._spread, world)
        returns, lengths, successes = play(candidates, players, played, cuts)
        shape = (len(candidates), len(seeds))
        return Outcomes(returns.reshape(shape), lengths.reshape(shape), successes.reshape(shape))

    def _dream(
        self, candidates: NDArray[np.float32], players: NDArray[np.int64], seeds: NDArray[np.int64], cuts: Cuts
    ) -> Outcomes:
        """Dreams (I,) on the GPU."""
        tally = self.dreams.play(candidates, players, seeds, *cuts)
        if not tally.sound.all():
            raise bad_action(int(seeds[(~tally.sound).nonzero()[0]]))
        check_returns(tally.returns.numpy(), seeds)
        return Outcomes(tally.returns.numpy(), tally.lengths.numpy(), np.zeros(len(seeds), bool))

    def _spread(
        self,
        world: WorldName,
        candidates: NDArray[np.float32],
        players: NDArray[np.int64],
        seeds: NDArray[np.int64],
        cuts: Cuts,
    ) -> Outcomes:
        """Episodes (I,) over the workers."""
        trials = (
            # only the candidates that a part needs are sent with it; they are consecutive
            Trial(world, candidates[np.unique(players[part])], players[part] - first, seeds[part], cuts, int(first))
            for part in self._parts(len(seeds))
            for first in players[part[:1]]
        )
        return Outcomes.join(list(self.pool.map(trials)))

    def _parts(self, count: int) -> Iterator[NDArray[np.int64]]:
        """Consecutive items for one task a worker: a task's lanes take items until none is left."""
        size = -(-count // self.pool.size)
        for first in range(0, count, size):
            yield np.arange(first, min(first + size, count))
