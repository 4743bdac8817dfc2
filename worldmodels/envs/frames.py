"""From whatever a game shows to a task frame: uint8, 64x64x3."""

import traceback
from collections.abc import Callable

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from worldmodels.errors import UserError

SIZE = 64
"""Height and width of a task frame in pixels: what V sees (Ha & Schmidhuber 2018, appendix A.1)."""
SHAPE = (SIZE, SIZE, 3)

PASSED_ON = UserError, gym.error.ResetNeeded
"""What a game raises that is said already, or is its caller's mistake."""

Frame = NDArray[np.uint8]
Crop = tuple[int, int, int, int]


def to_task_frame(image: Frame, crop: Crop | None = None) -> Frame:
    """Crop an image (H, W), (H, W, 1) or (H, W, 3) to rows and columns `crop`; resize it to (64, 64, 3) by areas."""
    if crop is not None:
        top, bottom, left, right = crop
        image = image[top:bottom, left:right]
    if image.shape[:2] != (SIZE, SIZE):
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if image.ndim == 2 or image.shape[2] == 1:
        image = np.repeat(image.reshape(SIZE, SIZE, 1), 3, axis=2)
    return np.ascontiguousarray(image)


def area_weights(source: int, target: int) -> NDArray[np.float64]:
    """Matrix (target, source) that averages `source` pixels into `target` equal areas; its rows sum to 1."""
    edges = np.arange(target + 1) * (source / target)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(source)
    overlap = np.minimum(right, pixel + 1) - np.maximum(left, pixel)
    return np.maximum(overlap, 0) * (target / source)


def as_it_is(frame: Frame) -> Frame:
    """The frame, of which nothing is to be made."""
    return frame


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape is an image: (H, W), (H, W, 1) or (H, W, 3), and not empty."""
    return len(shape) in (2, 3) and 0 not in shape and (len(shape) == 2 or shape[2] in (1, 3))


class TaskFrames(gym.Wrapper):
    """Shows the agent task frames, whatever the game observes.

    Args:
        env: a game that observes an image, a Dict with an image in it, or (with `render_pixels`) anything.
        crop: rows from, to and columns from, to that are kept; an observation of 64x64x3 is kept as it is.
        image_key: the image's key in a Dict observation.
        render_pixels: take the image from `env.render()`.
    """

    def __init__(
        self, env: gym.Env, crop: Crop | None = None, image_key: str | None = None, render_pixels: bool = False
    ) -> None:
        super().__init__(env)
        self.crop, self.image_key, self.render_pixels = crop, image_key, render_pixels
        self.observation_space = gym.spaces.Box(0, 255, SHAPE, np.uint8)
        self._ready_made = self._deferred = False
        if crop is not None and not (crop[0] < crop[1] and crop[2] < crop[3]):
            raise UserError(f"task.crop {crop} keeps nothing: rows from, to and columns from, to have to ascend.")
        self._name = env.spec.id if env.spec else type(env).__name__
        if not render_pixels:
            self._check_space(env.observation_space)

    def _check_space(self, space: gym.Space) -> None:
        """Raise UserError unless the observation, or its entry `image_key`, is an image."""
        name = self._name
        if isinstance(space, gym.spaces.Dict):
            if self.image_key not in space.spaces:
                keys = ", ".join(space.spaces)
                raise UserError(f"{name} observes a Dict with {keys}: name the image among them as task.image_key.")
            space = space[self.image_key]
        shape = space.shape or ()
        if space.dtype != np.uint8 or not is_image(shape):
            raise UserError(
                f"{name} observes {space}, which is no image of uint8 (height, width, 1 or 3): "
                "set task.render_pixels: true to watch what it renders."
            )
        self._ready_made = shape == SHAPE
        if not self._ready_made:
            self._check_crop(shape)

    def _check_crop(self, shape: tuple[int, ...]) -> None:
        if self.crop is not None and (self.crop[1] > shape[0] or self.crop[3] > shape[1]):
            raise UserError(f"task.crop {self.crop} reaches beyond the {shape[0]}x{shape[1]} image of {self._name}.")

    def _frame(self, observation: object) -> Frame:
        image = self.env.render() if self.render_pixels else observation
        if self._deferred:
            return image  # type: ignore[return-value]
        if isinstance(image, dict):
            image = image.get(self.image_key)
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or not is_image(image.shape):
            what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise UserError(f"{self._name} shows {what}, which is no image of uint8 (height, width, 1 or 3).")
        if image.shape == SHAPE:
            return image
        self._check_crop(image.shape)
        return to_task_frame(image, self.crop)

    def defer(self) -> Callable[[NDArray[np.uint8]], Frame]:
        """From now on show what task frames are made of, if the game can, and return what makes task frames of it.

        For who looks at frames only later. Made between two steps of a game, a frame takes up to twice the time that it
        takes among others: what the processor needs for it has been driven from its caches, and drives out the game's.

        A game that can has an attribute `deferred` and a method `develop`, see `worldmodels.envs.take_cover`.
        """
        game = self.env.unwrapped
        if not (self._ready_made and hasattr(game, "deferred")):
            return as_it_is
        game.deferred = self._deferred = True
        return game.develop  # type: ignore[attr-defined]

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Frame, dict]:
        """First task frame of an episode; UserError if the game fails."""
        try:
            observation, info = self.env.reset(seed=seed, options=options)
            return self._frame(observation), info
        except PASSED_ON:
            raise
        except Exception as error:  # a game may raise anything
            raise self._failed("reset", error) from error

    def step(self, action: object) -> tuple[Frame, float, bool, bool, dict]:
        """One step; the observation is a task frame. UserError if the game fails, or pays what is no number."""
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
            return self._frame(observation), float(reward), terminated, truncated, info
        except PASSED_ON:
            raise
        except Exception as error:  # a game may raise anything
            raise self._failed("step", error) from error

    def _failed(self, doing: str, error: Exception) -> UserError:
        """What is said of a game's own mistake: its author needs the place."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        return UserError(
            f"The game {self._name} failed in {doing}, with {type(error).__name__} in line {place.lineno} of "
            f"{place.filename} ({error}): mend it there, then repeat the command."
        )
