"""What may happen to a game that the agent never trained with: disturbances between the game and the agent.

Each episode's are drawn from the episode's own seed. The agent is not told: it remembers the actions that it meant.
`bars`, `blob` and `colour` follow AttentionAgent's tests of CarRacing (Tang, Nguyen & Ha 2020), carried over from the
screen to the task frame, so that they suit any game; there, `colour` shifts road and grass, here the whole frame.
"""

import dataclasses
import difflib
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from worldmodels.config import TaskConfig
from worldmodels.envs.actions import Squash
from worldmodels.envs.frames import SIZE, Frame
from worldmodels.envs.make import make_game
from worldmodels.errors import UserError
from worldmodels.seeds import stream

BLOB = slice(32, 44), slice(54, 62)
"""Rows and columns of the blob: on the road's right in CarRacing, as far from the car as AttentionAgent's."""
BLOB_COLOUR = (204, 0, 0)


class _Disturbed(gym.Wrapper):
    """A game disturbed to a degree, with random numbers of each episode's own."""

    def __init__(self, game: gym.Env, strength: float) -> None:
        super().__init__(game)
        self.strength = strength
        self.random = stream(0, "perturbation")

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Frame, dict]:
        """Begin an episode, and its disturbances."""
        self.random = stream(seed or 0, "perturbation")
        return self.env.reset(seed=seed, options=options)


class ActionNoise(_Disturbed):
    """Adds normal noise of standard deviation `strength` to every entry of an action, within its bounds.

    Where a game takes choices, each of them is instead a uniformly random one with probability `strength`.
    """

    def __init__(self, game: gym.Env, strength: float) -> None:
        super().__init__(game, strength)
        self._squash: Squash = game.get_wrapper_attr("squash")
        if self._squash.choices and strength > 1:
            raise UserError(
                f"In a game of choices, action_noise is the probability of a random one, and {strength:g} is none: "
                "give a number of at most 1."
            )

    def step(self, action: NDArray[np.float32]) -> tuple[Frame, float, bool, bool, dict]:
        """A step with another action than the agent meant."""
        frame, reward, terminated, truncated, info = self.env.step(self._noisy(action))
        return frame, float(reward), terminated, truncated, info

    def _noisy(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        choices = self._squash.choices
        if not choices:
            space = self._squash.space
            noisy = action + self.strength * self.random.standard_normal(action.shape)
            return np.clip(noisy, space.low, space.high).astype(np.float32)
        replaced = self.random.random(len(choices)) < self.strength
        picks = np.where(replaced, self.random.integers(0, choices), self._squash.picks(action[None])[0])
        return self._squash.of_picks(picks[None])[0]


class DroppedFrames(_Disturbed):
    """With probability `strength` a step shows the frame that was last shown instead of its own."""

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Frame, dict]:
        """The first frame is always shown."""
        frame, info = super().reset(seed=seed, options=options)
        self._shown = frame.copy()  # a game may show the same array again and again
        return self._shown, info

    def step(self, action: NDArray[np.float32]) -> tuple[Frame, float, bool, bool, dict]:
        """A step, perhaps unseen."""
        frame, reward, terminated, truncated, info = self.env.step(action)
        if self.random.random() >= self.strength:
            self._shown = frame.copy()
        return self._shown, float(reward), terminated, truncated, info


class _Painted(_Disturbed):
    """A game whose frames are painted over."""

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Frame, dict]:
        """First frame, painted over."""
        frame, info = super().reset(seed=seed, options=options)
        self.begin()
        return self.paint(frame.copy()), info

    def step(self, action: NDArray[np.float32]) -> tuple[Frame, float, bool, bool, dict]:
        """A step; its frame is painted over."""
        frame, reward, terminated, truncated, info = self.env.step(action)
        return self.paint(frame.copy()), float(reward), terminated, truncated, info

    def begin(self) -> None:
        """Draw what an episode needs."""

    def paint(self, frame: Frame) -> Frame:
        """Paint a frame over, in place."""
        raise NotImplementedError


class Bars(_Painted):
    """Black bars on the left and the right, each `strength` of the frame wide."""

    def paint(self, frame: Frame) -> Frame:
        """Paint both bars."""
        width = round(self.strength * SIZE)
        frame[:, :width] = frame[:, SIZE - width :] = 0
        return frame


class Blob(_Painted):
    """A red rectangle at a fixed place in front of the agent and to its right."""

    def paint(self, frame: Frame) -> Frame:
        """Paint the blob."""
        frame[BLOB] = BLOB_COLOUR
        return frame


class Colour(_Painted):
    """Red, green and blue are shifted, each by up to `strength` of their range, anew in each episode."""

    def begin(self) -> None:
        """Draw the episode's shift."""
        self._shift = np.rint(255 * self.random.uniform(-self.strength, self.strength, 3)).astype(np.int16)

    def paint(self, frame: Frame) -> Frame:
        """Shift the colours."""
        return np.clip(frame + self._shift, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _Kind:
    """A kind of perturbation: how it is made (None: by the game itself), and its strength's default and maximum."""

    wrapper: type[_Disturbed] | None
    usual: float | None = None
    most: float = np.inf


KINDS = {
    "action_noise": _Kind(ActionNoise, 0.1),
    "dropped_frames": _Kind(DroppedFrames, 0.2, 1.0),
    "bars": _Kind(Bars, 3 / 40, 0.5),
    "blob": _Kind(Blob),
    "colour": _Kind(Colour, 0.2, 1.0),
    "domain_randomize": _Kind(None),
}
"""Perturbations by name; those without a usual strength have none."""


@dataclass(frozen=True)
class Perturbation:
    """A perturbation to a degree.

    Attributes:
        name: of `KINDS`.
        strength: see there; 0 if the kind has none.
    """

    name: str
    strength: float

    @classmethod
    def parse(cls, text: str) -> "Perturbation":
        """The perturbation of `name` or `name:strength`; UserError if there is none of that name or strength."""
        name, _, given = text.partition(":")
        if name not in KINDS:
            near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.0)[0]
            raise UserError(f"There is no perturbation `{name}`; did you mean `{near}`?")
        kind = KINDS[name]
        if kind.usual is None and given:
            raise UserError(f"The perturbation {name} has no strength: leave out :{given}.")
        try:
            strength = float(given) if given else kind.usual or 0.0
        except ValueError as error:
            raise UserError(f"{given} is no strength of the perturbation {name}: give a number.") from error
        if kind.usual is not None and not 0 < strength <= kind.most:
            limit = f"above 0 and at most {kind.most:g}" if np.isfinite(kind.most) else "above 0"
            raise UserError(f"The strength of the perturbation {name} has to be {limit}, not {given}.")
        return cls(name, strength)

    def __str__(self) -> str:
        words = self.name.replace("_", " ")  # the number in full: what was played is looked up under this name
        return f"{words} {np.format_float_positional(self.strength, trim='-')}" if self.strength else words


def make_perturbed_game(task: TaskConfig, score: bool = False, perturbation: Perturbation | None = None) -> gym.Env:
    """Make the task's game as `make_game` does, with a perturbation between it and the agent.

    Raises:
        UserError: the game cannot be made, does not know how to change its looks (`domain_randomize`), or takes choices
            and the strength of `action_noise` is no probability.
    """
    if perturbation is None:
        return make_game(task, score)
    wrapper = KINDS[perturbation.name].wrapper
    if wrapper is not None:
        return wrapper(make_game(task, score), perturbation.strength)
    changed = {perturbation.name: True}
    return make_game(
        dataclasses.replace(
            task, env_kwargs=task.env_kwargs | changed, score_env_kwargs=task.score_env_kwargs | changed
        ),
        score,
    )
