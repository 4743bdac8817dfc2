"""One kind of action for every game: a real vector (A,), whatever the game itself takes.

A Box game takes the vector as it is. A Discrete game of n choices takes n scores and plays the highest; the vector
that is recorded and that M sees is its one-hot form. A MultiDiscrete game takes the scores of its choices one after
the other; a MultiBinary one those of off and on of each of its switches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from worldmodels.errors import UserError

Actions = NDArray[np.float32]


@dataclass(frozen=True)
class Squash:
    """From C's unbounded outputs to actions, for a batch at once.

    Attributes:
        low, high: bounds of each of the A entries of an action.
        clip: for each entry of a continuous action, whether it is tanh clipped to 0..1 rather than tanh scaled to its
            bounds.
        choices: sizes of the choices of a discrete action; empty for a continuous one.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    clip: tuple[bool, ...] = ()
    choices: tuple[int, ...] = ()

    @property
    def dim(self) -> int:
        """Size A of an action."""
        return len(self.low)

    @cached_property
    def space(self) -> gym.spaces.Box:
        """The space of action vectors."""
        return gym.spaces.Box(np.array(self.low, np.float32), np.array(self.high, np.float32), dtype=np.float32)

    @property
    def native_space(self) -> gym.Space[Any]:
        """The space of actions as a game itself takes them; its choices are numbers from 0."""
        if not self.choices:
            return self.space
        if len(self.choices) == 1:
            return gym.spaces.Discrete(self.choices[0])
        return gym.spaces.MultiDiscrete(list(self.choices))

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        """Where the scores of each choice begin, (K,)."""
        return np.cumsum((0, *self.choices[:-1]))

    def __call__(self, raw: NDArray[np.float32]) -> Actions:
        """Actions (B, A) float32 of outputs (B, A)."""
        if self.choices:
            return self._one_hot(raw)
        squashed = np.tanh(raw.astype(np.float32))
        low, high = self.space.low, self.space.high
        scaled = low + (squashed + 1) * (np.float32(0.5) * (high - low))
        within = np.minimum(scaled, high)  # which rounding may have passed
        return np.where(self.clip, squashed.clip(0, 1), within)

    def random(self, source: np.random.Generator) -> Actions:
        """A uniformly random action (A,): within its bounds, or a random choice."""
        return self.scattered(source.random((1, self.dim), np.float32))[0]

    def scattered(self, drawn: NDArray[np.float32]) -> Actions:
        """Uniformly random actions (B, A) of numbers (B, A) that are uniform in 0..1."""
        if self.choices:
            return self._one_hot(drawn)
        low, high = self.space.low, self.space.high
        return np.asarray(low + drawn * (high - low), np.float32)

    def picks(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Numbers (B, K) of the K choices whose scores, or one-hot forms, are (B, A)."""
        choices = zip(self._firsts, self.choices, strict=True)
        return np.stack([scores[:, first : first + size].argmax(1) for first, size in choices], 1)

    def of_picks(self, picks: NDArray[np.integer]) -> Actions:
        """Actions (B, A), the one-hot forms of the numbers (B, K) of K choices."""
        actions = np.zeros((len(picks), self.dim), np.float32)
        actions[np.arange(len(picks))[:, None], picks + self._firsts] = 1
        return actions

    def _one_hot(self, scores: NDArray[np.float32]) -> Actions:
        actions = self.of_picks(self.picks(scores))
        actions[np.isnan(scores)] = np.nan  # no choice: whoever plays has to be told
        return actions


def squash_for(space: gym.Space, kinds: Sequence[str] = ()) -> Squash:
    """How C's outputs become actions of a space.

    Args:
        space: the game's own action space.
        kinds: an entry an output for a Box game: `tanh`, `half` for (tanh + 1) / 2, `clip` for tanh clipped to 0..1,
            as the paper squashes steering, gas and brake; empty: tanh scaled to the space's bounds.

    Raises:
        UserError: the space is neither a bounded one-dimensional Box nor Discrete, MultiDiscrete or MultiBinary, or
            `kinds` does not fit it.
    """
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and 0 not in space.shape and _is_bounded(space):
        return _squash_for_box(space, kinds)
    choices = choices_of(space)
    if not choices:
        raise UserError(
            f"The action space {space} cannot be mapped: it has to be a bounded Box of one dimension, "
            "Discrete, MultiDiscrete, or MultiBinary."
        )
    if kinds:
        raise UserError("task.squash is for continuous actions; this game's are discrete.")
    return Squash((0.0,) * sum(choices), (1.0,) * sum(choices), choices=choices)


def choices_of(space: gym.Space) -> tuple[int, ...]:
    """Sizes of the choices of a discrete space; empty for any other."""
    if isinstance(space, gym.spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return tuple(int(size) for size in np.ravel(space.nvec))
    if isinstance(space, gym.spaces.MultiBinary):
        return (2,) * int(np.prod(space.shape))
    return ()


def _is_bounded(space: gym.spaces.Box) -> bool:
    """Whether the bounds are numbers that one can compute with: those of VizDoom's mouse are float32's largest."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(space.high.astype(np.float32) - space.low.astype(np.float32)).all())


def _squash_for_box(space: gym.spaces.Box, kinds: Sequence[str]) -> Squash:
    low, high = (tuple(float(bound) for bound in bounds) for bounds in (space.low, space.high))
    kinds = kinds or ["tanh"] * len(low)
    if len(kinds) != len(low):
        raise UserError(f"task.squash names {len(kinds)} outputs, but the game takes {len(low)} actions.")
    wanted = {"tanh": None, "half": (0.0, 1.0), "clip": (0.0, 1.0)}
    for index, kind in enumerate(kinds):
        if wanted[kind] not in (None, (low[index], high[index])):
            bounds = f"{low[index]:g}..{high[index]:g}"
            raise UserError(f"task.squash: {kind} yields 0..1, but action {index} of the game is {bounds}.")
    return Squash(low, high, clip=tuple(kind == "clip" for kind in kinds))


class VectorActions(gym.ActionWrapper):
    """Lets a game be played with action vectors in the form of `Squash`; refuses vectors that are not finite.

    What the game gets is its own: it may be changed there, and what was recorded stays what it was.
    """

    def __init__(self, env: gym.Env, squash: Squash) -> None:
        super().__init__(env)
        self.squash = squash
        self._native = env.action_space
        self.action_space = squash.space

    def action(self, action: Actions) -> object:
        """The game's own form of an action vector (A,)."""
        if not all(map(math.isfinite, action.tolist())):  # a tenth of np.isfinite's time for a few numbers
            raise ValueError(f"The action {action} is not finite: the agent's outputs have gone wrong.")
        if not self.squash.choices:
            return self._in_the_games_numbers(action)
        picks = self.squash.picks(action[None])
        if isinstance(self._native, gym.spaces.Discrete):
            return picks.item() + int(self._native.start)
        start = getattr(self._native, "start", 0)
        return (picks.reshape(self._native.shape) + start).astype(self._native.dtype)

    def _in_the_games_numbers(self, action: Actions) -> NDArray:
        """The vector in the type of a Box game, rounded if that takes whole numbers."""
        native = self._native
        assert isinstance(native, gym.spaces.Box)
        if native.dtype == np.float32:
            return action.copy()
        whole = np.rint(action) if native.dtype.kind in "iu" else action
        # a bound that float32 does not hold has been rounded, perhaps to beyond itself
        return np.clip(whole, native.low, native.high).astype(native.dtype)
