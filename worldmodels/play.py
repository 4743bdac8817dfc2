"""The one loop in which episodes are played, in the game or in a dream, for fitness, validation and evaluation."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.controller.form import ControllerForm, outputs
from worldmodels.envs.actions import Squash
from worldmodels.errors import UserError
from worldmodels.pulse import beat
from worldmodels.seeds import stream


class Outcomes(NamedTuple):
    """How I episodes went: sums of rewards, steps, and whether each was a success, all (I,)."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    successes: NDArray[np.bool_]

    @classmethod
    def join(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """Outcomes one after the other."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Cuts(NamedTuple):
    """When an episode is given up before its end, in training only.

    Attributes:
        patience: after so many steps without a positive reward.
        max_steps: after so many steps.
    """

    patience: int | None = None
    max_steps: int | None = None


class World(Protocol):
    """A vector environment whose lanes are reset by mask: `RealWorld`, or a dream's `DreamVectorEnv`.

    Attributes:
        num_envs: number of lanes B.
        over: bool (B,), lanes that stand still until they are reset; a lane may be set to true from outside.
    """

    num_envs: int
    over: NDArray[np.bool_]

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict]:
        """Begin episodes in the lanes of `options["reset_mask"]`, each with its own seed."""

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict]:
        """One step of the lanes that are not over."""

    def close(self) -> None:
        """Free what the world holds."""


class Policy(Protocol):
    """Something that plays: told which item of the work each lane has begun, it acts for all lanes at once."""

    def begin(self, lane: int, item: int, seed: int) -> None:
        """Lane `lane` begins to play item `item`."""

    def act(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions (B, A) for what is seen (B, F)."""


class CandidatePolicy:
    """Candidates (N, P) of a controller; item i is played by candidate `players[i]`."""

    def __init__(
        self, form: ControllerForm, squash: Squash, candidates: NDArray, players: NDArray[np.int64], lanes: int
    ) -> None:
        self._players, self._squash = players, squash
        self._candidates = form.layers(candidates)
        first = np.zeros(lanes, np.int64)
        self._lanes = [(weight[first], bias[first]) for weight, bias in self._candidates]

    def begin(self, lane: int, item: int, seed: int) -> None:
        """Put the item's candidate in charge of a lane."""
        for own, layer in zip(self._lanes, self._candidates, strict=True):
            for part, candidates in zip(own, layer, strict=True):
                part[lane] = candidates[self._players[item]]

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs (B, A), before squashing, of every lane's candidate for its own features."""
        return outputs(self._lanes, torch.from_numpy(features)).numpy()

    def act(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Every lane's candidate acts on its own features."""
        return self._squash(self.raw(features))


class RandomPolicy:
    """Actions drawn uniformly from the action space, anew at every step."""

    def __init__(self, squash: Squash, lanes: int) -> None:
        self._squash = squash
        self._random = [stream(0, "unused")] * lanes

    def begin(self, lane: int, item: int, seed: int) -> None:
        """Draw from the episode's own stream."""
        self._random[lane] = stream(seed, "random policy")

    def act(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Random actions."""
        return np.stack([self._squash.random(random) for random in self._random])


def play(world: World, policy: Policy, seeds: NDArray[np.int64], cuts: Cuts = Cuts()) -> Outcomes:  # noqa: B008  # immutable
    """Play one episode an item, item i with seed `seeds[i]`, each to its end; a lane that is done takes the next item.

    Args:
        world: where.
        policy: who acts.
        seeds: (I,).
        cuts: when an episode is given up before its end.

    Raises:
        UserError: a return or an action is not finite.
    """
    lanes, items = world.num_envs, len(seeds)
    returns, lengths, successes = np.zeros(items), np.zeros(items, np.int64), np.zeros(items, bool)
    item, waiting = np.full(lanes, -1), np.zeros(lanes, np.int64)
    following = 0
    features = np.zeros(0, np.float32)
    vacant = np.ones(lanes, bool)
    while True:
        fresh = np.flatnonzero(vacant)[: items - following]
        if len(fresh):
            item[fresh] = np.arange(following, following + len(fresh))
            following += len(fresh)
            features = _begin(world, policy, fresh, item, seeds)
            vacant[fresh], waiting[fresh] = False, 0
        if vacant.all():
            break
        actions = policy.act(features)
        if not np.isfinite(actions).all():
            lane = int(np.flatnonzero(~np.isfinite(actions).all(1))[0])
            raise bad_action(seeds[item[lane]], f", at step {lengths[item[lane]]} of")
        features, rewards, terminated, truncated, infos = world.step(actions)
        beat()
        playing = np.flatnonzero(~vacant)
        at = item[playing]
        returns[at] += rewards[playing]
        lengths[at] += 1
        successes[at] |= infos["success"][playing]
        waiting = np.where(rewards > 0, 0, waiting + 1)
        vacant |= terminated | truncated
        if cuts.patience is not None:
            vacant |= waiting >= cuts.patience
        if cuts.max_steps is not None:
            vacant[playing] |= lengths[at] >= cuts.max_steps
        world.over |= vacant  # what was given up need not be played on
    check_returns(returns, seeds)
    return Outcomes(returns, lengths, successes)


def check_returns(returns: NDArray[np.float64], seeds: NDArray[np.int64]) -> None:
    """Raise UserError if the return of one of I episodes is not finite."""
    if not np.isfinite(returns).all():
        seed = seeds[np.flatnonzero(~np.isfinite(returns))[0]]
        raise UserError(
            f"The return of the episode with seed {seed} is not a finite number: the game or M's reward "
            "head is damaged."
        )


def bad_action(seed: int, where: str = " in") -> UserError:
    """What is raised where an agent does nothing that a game could take."""
    return UserError(
        f"An agent's action is not a finite number{where} the episode with seed {seed}: its V, M or C is damaged."
    )


def _begin(
    world: World, policy: Policy, fresh: NDArray[np.int64], item: NDArray[np.int64], seeds: NDArray[np.int64]
) -> NDArray[np.float32]:
    mask = np.zeros(world.num_envs, bool)
    mask[fresh] = True
    lane_seeds: list[int | None] = [None] * world.num_envs
    for lane in fresh:
        lane_seeds[lane] = int(seeds[item[lane]])
        policy.begin(int(lane), int(item[lane]), int(seeds[item[lane]]))
    features, _ = world.reset(seed=lane_seeds, options={"reset_mask": mask})
    return features
