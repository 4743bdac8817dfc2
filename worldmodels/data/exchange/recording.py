"""An episode as somebody else recorded it, and the checks and conversions that make it one of a run's episodes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldmodels.data.episode import Episode
from worldmodels.data.planes import FrameCompressor
from worldmodels.envs.actions import Squash
from worldmodels.envs.frames import SHAPE, Crop, to_task_frame
from worldmodels.errors import UserError
from worldmodels.files import file_digest, plain_file

NO_SEED = -1
"""Seed of an episode of which nobody knows with which seed the game was reset."""


@dataclass(frozen=True)
class Recording:
    """An episode of T steps as it was found, nothing of it checked.

    Attributes:
        frames: uint8 (T, H, W, 1 or 3) or (T, H, W), or one more; the one after the last action is not used.
        actions: (T, A) of a continuous game; integers (T,) or (T, choices) of a discrete one.
        rewards: (T,).
        terminated, truncated: one flag, or one a step of which only the last may be true.
        seed: with which the game was reset, if that is known.
    """

    frames: NDArray
    actions: NDArray
    rewards: NDArray
    terminated: ArrayLike
    truncated: ArrayLike
    seed: ArrayLike | None


class Source(Protocol):
    """Where recordings come from.

    Attributes:
        identity: what names the source and all its content, as plain data.
        names: what each recording is called in messages, in order.
        squash: how C's outputs become actions.
        space: the action space that the recorded actions are of.
    """

    identity: dict[str, str]
    names: list[str]
    squash: Squash
    space: gym.Space

    def read(self, number: int) -> Recording:
        """A recording; UserError if it cannot be read."""
        ...


class Episodes:
    """The recordings of a source as episodes of a run.

    Args:
        source: where they come from.
        crop: rows from, to and columns from, to that are kept of frames that are not 64x64x3 already.
    """

    def __init__(self, source: Source, crop: Crop | None) -> None:
        self.source, self.crop = source, crop
        self._shape: tuple[int, ...] | None = None

    def check(self, number: int) -> int:
        """Steps of an episode; UserError with what is wrong with it."""
        return len(self._checked(number)[1])

    def __call__(self, number: int) -> Episode:
        """Episode `number`, its frames cropped, resized and compressed; UserError with what is wrong with it."""
        frames, rewards, actions, terminated, truncated, seed = self._checked(number)
        compress = FrameCompressor()
        blobs = [compress(self._task_frame(frame)) for frame in frames[: len(rewards)]]
        return Episode(seed, blobs, actions, rewards, terminated, truncated)

    def _task_frame(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(frame) if frame.shape == SHAPE else to_task_frame(frame, self.crop)

    def _checked(self, number: int) -> tuple[NDArray, NDArray, NDArray, bool, bool, int]:
        recording = self.source.read(number)
        try:
            rewards = _rewards(recording.rewards)
            steps = len(rewards)
            self._check_frames(recording.frames, steps)
            actions = action_vectors(recording.actions, steps, self.source.squash, self.source.space)
            terminated = _flag("terminated", recording.terminated, steps)
            truncated = _flag("truncated", recording.truncated, steps)
            seed = _seed(recording.seed)
        except ValueError as error:
            raise UserError(f"{self.source.names[number]}: {error}.") from error
        return recording.frames, rewards, actions, terminated, truncated or not terminated, seed

    def _check_frames(self, frames: NDArray, steps: int) -> None:
        if (
            frames.dtype != np.uint8
            or frames.ndim not in (3, 4)
            or (frames.ndim == 4 and frames.shape[3] not in (1, 3))
        ):
            raise ValueError(f"its frames are {_size(frames)}, but should be uint8 (steps, height, width, 1 or 3)")
        if len(frames) not in (steps, steps + 1):
            raise ValueError(f"it has {len(frames)} frames and {steps} rewards: save a frame a step, or one more")
        shape = frames.shape[1:]
        if self._shape is None:
            self._check_shape(shape)
            self._shape = shape
        if shape != self._shape:
            first = f"those of {self.source.names[0]} are {_times(self._shape)}"
            raise ValueError(f"its frames are {_times(shape)}, but {first}: all have to be of one size")

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if 0 in shape:
            raise ValueError(f"its frames of {_times(shape)} pixels are empty")
        if self.crop is None or shape == SHAPE:
            return
        top, bottom, left, right = self.crop
        if not (top < bottom <= shape[0] and left < right <= shape[1]):
            raise ValueError(f"task.crop {self.crop} does not fit its frames of {_times(shape)} pixels")


def action_vectors(actions: NDArray, steps: int, squash: Squash, space: gym.Space) -> NDArray[np.float32]:
    """Recorded actions as vectors (T, A): continuous ones as they are, choices in their one-hot form.

    Raises:
        ValueError: they are not of the game's size, kind or range.
    """
    if squash.choices:
        return squash.of_picks(_picks(actions, steps, squash.choices, np.ravel(getattr(space, "start", 0))))
    if actions.dtype.kind not in "fiu" or actions.shape != (steps, squash.dim):
        raise ValueError(f"its actions are {_size(actions)}, but should be numbers ({steps}, {squash.dim})")
    vectors = _finite("actions", actions)
    for index, (low, high) in enumerate(zip(squash.space.low, squash.space.high, strict=True)):
        least, most = vectors[:, index].min(), vectors[:, index].max()
        if least < low or most > high:
            here = f"its action {index} reaches from {least:g} to {most:g}, but the game's from {low:g} to {high:g}"
            raise ValueError(f"{here}: scale or clip it")
    return vectors


def _picks(actions: NDArray, steps: int, choices: tuple[int, ...], start: NDArray[np.integer]) -> NDArray[np.int64]:
    """Numbers (T, K) from 0 of K choices."""
    wanted = (steps,) if len(choices) == 1 else (steps, len(choices))
    if actions.dtype.kind not in "iu" or actions.shape[:1] != (steps,) or actions.size != steps * len(choices):
        raise ValueError(f"its actions are {_size(actions)}, but the game's are choices: save integers {wanted}")
    picks = actions.reshape(steps, len(choices)).astype(np.int64) - start
    if (picks < 0).any() or (picks >= choices).any():
        reach = f"its actions reach from {actions.min()} to {actions.max()}"
        raise ValueError(f"{reach}, but the game has choices of {choices}, which begin at {tuple(start.tolist())}")
    return picks


def _rewards(rewards: NDArray) -> NDArray[np.float32]:
    if rewards.dtype.kind not in "fiu" or rewards.ndim != 1:
        raise ValueError(f"its rewards are {_size(rewards)}, but should be one number a step")
    if len(rewards) == 0:
        raise ValueError("it is empty: leave it out")
    return _finite("rewards", rewards)


def _finite(name: str, numbers: NDArray) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        converted = numbers.astype(np.float32)
    if not np.isfinite(converted).all():
        step = int(np.flatnonzero(~np.isfinite(converted).reshape(len(converted), -1).all(1))[0])
        raise ValueError(f"its {name} are not finite at step {step}: leave the episode out, or mend it")
    return converted


def _flag(name: str, given: ArrayLike, steps: int) -> bool:
    flags = np.asarray(given)
    if flags.dtype.kind not in "biuf" or flags.shape not in ((), (steps,)) or not np.isin(flags, (0, 1)).all():
        raise ValueError(f"`{name}` is {_size(flags)}, but should be true or false, once or for each of {steps} steps")
    if flags.ndim == 0:
        return bool(flags)
    early = np.flatnonzero(flags[:-1])
    if len(early):
        raise ValueError(f"`{name}` is true at step {early[0]} of 0 to {steps - 1}: save one episode at a time")
    return bool(flags[-1])


def _seed(given: ArrayLike | None) -> int:
    if given is None:
        return NO_SEED
    seed = np.asarray(given)
    if seed.dtype.kind not in "iu" or seed.size != 1 or not NO_SEED <= int(seed.item()) < 2**63:
        raise ValueError("its seed is no number from 0 to 2^63 - 1")
    return int(seed.item())


def content_digest(files: Sequence[Path], folder: Path, limit: int) -> str:
    """Digest of files in a folder: of their names and bytes; UserError for one above `limit` bytes, or unreadable."""
    digests = []
    for file in files:
        try:
            digests.append(f"{file.relative_to(folder)}:{file_digest(plain_file(file, limit))}")
        except OSError as error:
            raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


def one_line(error: Exception) -> str:
    """An error's text as part of a sentence."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _size(array: NDArray) -> str:
    """Type and shape, for people."""
    return f"{array.dtype} {array.shape}"


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
