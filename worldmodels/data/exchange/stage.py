"""Stage 1 for those who have their rollouts already: episodes from elsewhere, exactly as if they had been collected."""

import math
import os
import shutil
from pathlib import Path

from worldmodels.config import ComputeConfig
from worldmodels.data.episode import Episode
from worldmodels.data.exchange.minari import MinariSet
from worldmodels.data.exchange.npz import NpzFolder
from worldmodels.data.exchange.recording import Episodes, Source
from worldmodels.data.rollouts import EPISODES, FLUSH_ROWS, Rollouts, append_episodes, forget_versions, summarise
from worldmodels.disk import require_space
from worldmodels.envs.frames import SHAPE
from worldmodels.errors import UserError
from worldmodels.metrics import progress_bar
from worldmodels.runs import Run

UNFINISHED = "importing.lance"
"""Name of the data set until it is complete."""


def import_rollouts(run: Run, npz: Path | None = None, minari: str | None = None) -> None:
    """Import a folder of .npz episodes, or a Minari data set, as the run's rollouts.

    Every episode is checked before anything is written, and a broken-off import leaves no data set. Importing the
    same source again does nothing.

    Args:
        run: a new run, or one that was imported from the same source.
        npz: folder with one `.npz` file an episode; see `worldmodels.data.exchange.npz`.
        minari: name of a Minari data set on this machine.

    Raises:
        UserError: not exactly one source is named, it is incomplete or wrong, or the run holds other rollouts.
    """
    stage = run.rollouts
    if stage.started and "import" not in stage.options():
        raise UserError(f"{stage.folder} holds rollouts that were collected: import into a new --run.")
    source = _source(run, npz, minari)
    episodes = Episodes(source, run.config.task.crop)
    if not stage.started:
        _check(episodes)  # before the stage is entered: a refusal leaves nothing behind
    with stage.begin(run.made_from(collect="imported", **{"import": source.identity})):
        if stage.done is not None:
            return
        path = stage.folder / EPISODES
        if not path.exists():  # it takes its name when it is complete
            _write(episodes, stage.folder / UNFINISHED, path, run.config.compute)
        stage.finish(summarise(Rollouts(path), source.squash))


def _source(run: Run, npz: Path | None, minari: str | None) -> Source:
    if npz is not None and minari is None:
        return NpzFolder(npz, run.config.task)
    if minari is not None and npz is None:
        return MinariSet(minari, run.config.task)
    raise UserError("Name what to import: either --npz FOLDER or --minari DATASET.")


def _check(episodes: Episodes) -> None:
    total = len(episodes.source.names)
    with progress_bar("Check", total, "episodes") as bar:
        for number in range(total):
            bar.advance(1, f"{episodes.check(number):,} steps")


def _write(episodes: Episodes, unfinished: Path, path: Path, compute: ComputeConfig) -> None:
    """Write all episodes under the name `unfinished`, which then becomes `path`."""
    shutil.rmtree(unfinished, ignore_errors=True)
    total, waiting, written, frames = len(episodes.source.names), list[Episode](), 0, 0
    try:
        with progress_bar("Import", total, "episodes") as bar:
            for number in range(total):
                waiting.append(episodes(number))
                frames += len(waiting[-1])
                bar.advance(1, f"{frames:,} frames")
                rows = sum(map(len, waiting))
                if rows >= FLUSH_ROWS or number == total - 1:
                    require_space(path.parent, rows * math.prod(SHAPE), "The import", compute)
                    append_episodes(unfinished, waiting, written)
                    written += len(waiting)
                    waiting.clear()
        forget_versions(unfinished)
        os.replace(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
