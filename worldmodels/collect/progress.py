"""How far a collection is: episodes, frames a second, and bytes on disk."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from worldmodels.data.rollouts import Episode
from worldmodels.metrics import Bar, progress_bar


class CollectionProgress:
    """Keeps a bar's note up to date.

    Args:
        bar: counts episodes.
        path: the data set that is being written.
    """

    def __init__(self, bar: Bar, path: Path) -> None:
        self._bar, self._path, self._begin = bar, path, time.monotonic()
        self._frames, self._bytes = 0, folder_bytes(path)

    def played(self, episodes: Sequence[Episode]) -> None:
        """Count episodes as played."""
        self._frames += sum(map(len, episodes))
        self._bar.advance(len(episodes), str(self))

    def written(self) -> None:
        """Look again how large the data set is."""
        self._bytes = folder_bytes(self._path)

    def __str__(self) -> str:
        rate = self._frames / max(time.monotonic() - self._begin, 1e-9)
        return f"{self._frames:,} frames, {rate:,.0f} frames/s, {self._bytes / 1e6:,.1f} MB on disk"


@contextlib.contextmanager
def collection_progress(path: Path, done: int, total: int) -> Iterator[CollectionProgress]:
    """A bar on standard error over `total` episodes, `done` of which are from before; and a last line that stays."""
    with progress_bar("Rollouts", total, "episodes", done) as bar:
        progress = CollectionProgress(bar, path)
        yield progress
        bar.say(f"Rollouts: {total - done} episodes, {progress}")


def folder_bytes(folder: Path) -> int:
    """Size of all files in a folder; 0 if there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
