"""How far a collection is: episodes, frames a second, and bytes on disk."""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from worldmodels.data.episode import Episode
from worldmodels.disk import folder_bytes
from worldmodels.metrics import Bar, progress_bar


class Goal(NamedTuple):
    """When there is enough: with so many episodes and so many frames at least."""

    episodes: int
    frames: int

    def reached(self, episodes: int, frames: int) -> bool:
        """Whether there is enough."""
        return episodes >= self.episodes and frames >= self.frames


class Sample(NamedTuple):
    """What episodes are like: bytes on disk of a step, and steps of an episode."""

    step_bytes: float
    length: float

    def needed(self, goal: Goal, episodes: int, frames: int) -> float:
        """Bytes that are still to come, with so many episodes and frames there already."""
        left = max((goal.episodes - episodes) * self.length, goal.frames - frames, 0)
        return left * self.step_bytes


class CollectionProgress:
    """Counts what there is, and keeps a bar's note up to date.

    Args:
        bar: counts episodes.
        path: the data set that is being written.
        goal: what is wanted.
        episodes, frames: what there is from before.
    """

    def __init__(self, bar: Bar, path: Path, goal: Goal, episodes: int, frames: int) -> None:
        self._bar, self._path, self._goal, self._begin = bar, path, goal, time.monotonic()
        self._before, self._bytes = frames, folder_bytes(path)
        self.episodes, self.frames = episodes, frames

    @property
    def enough(self) -> bool:
        """Whether the goal is reached."""
        return self._goal.reached(self.episodes, self.frames)

    def played(self, episode: Episode) -> None:
        """Count an episode."""
        self.episodes += 1
        self.frames += len(episode)
        self._bar.expect(max(self._goal.episodes, math.ceil(self._goal.frames * self.episodes / self.frames)))
        self._bar.advance(1, str(self))

    def written(self) -> None:
        """Look again how large the data set is."""
        self._bytes = folder_bytes(self._path)

    @property
    def needed(self) -> float:
        """Bytes that are still to come, if they are like those on disk."""
        sample = Sample(self._bytes / self.frames, self.frames / self.episodes)
        return sample.needed(self._goal, self.episodes, self.frames)

    def __str__(self) -> str:
        rate = (self.frames - self._before) / max(time.monotonic() - self._begin, 1e-9)
        return f"{self.frames:,} frames, {rate:,.0f} frames/s, {self._bytes / 1e6:,.1f} MB on disk"


@contextlib.contextmanager
def collection_progress(path: Path, goal: Goal, episodes: int, frames: int) -> Iterator[CollectionProgress]:
    """A bar on standard error, beginning with what there is from before; and a last line that stays."""
    with progress_bar("Rollouts", goal.episodes, "episodes", episodes) as bar:
        progress = CollectionProgress(bar, path, goal, episodes, frames)
        yield progress
        bar.say(f"Rollouts: {progress.episodes} episodes, {progress}")
