"""A run's rollouts as a Minari data set, for other tools and other people."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from worldmodels.data.exchange.minari import data_set_path, library
from worldmodels.data.exchange.recording import NO_SEED
from worldmodels.data.rollouts import Rollouts, rollouts_of, squash_of
from worldmodels.envs.actions import Squash
from worldmodels.envs.frames import SHAPE
from worldmodels.errors import UserError
from worldmodels.metrics import progress_bar, say
from worldmodels.runs import Run

Format = Literal["hdf5", "parquet", "arrow"]


def export_rollouts(run: Run, dataset: str, format: Format = "hdf5") -> None:
    """Export a run's rollouts as a new Minari data set on this machine.

    Minari wants one observation more than actions. Rollouts do not keep the one after the last action, so the last
    frame stands there twice. Frames are stored as they are, not as JPEG.

    Args:
        run: its rollouts are finished.
        dataset: name of the new data set, e.g. `games/racing-v0`.
        format: how Minari stores it: hdf5 is Minari's own choice, parquet is smaller.

    Raises:
        UserError: Minari is not installed, the run has no rollouts, or there is such a data set already.
    """
    stage = run.rollouts
    squash = squash_of(stage)
    rollouts = rollouts_of(run)
    path = data_set_path(dataset)
    if path.exists():
        raise UserError(f"There is a data set {dataset} in {path.parent} already: give the new one another version.")
    unfinished = path.with_name(f".{path.name}.exporting")  # Minari lists no hidden folders
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        _write(rollouts, squash, unfinished / "data", format, _about(run, dataset))
        os.replace(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _record_namespace(dataset)
    say(f"{dataset} is in {path}: {len(rollouts)} episodes, {rollouts.starts[-1]:,} steps.")


def recorded_actions(vectors: NDArray[np.float32], squash: Squash) -> NDArray:
    """Action vectors (T, A) in the form of `squash.native_space`: themselves, or numbers (T,) or (T, K) from 0."""
    if not squash.choices:
        return vectors
    picks = squash.picks(vectors)
    return picks[:, 0] if len(squash.choices) == 1 else picks


def _about(run: Run, dataset: str) -> dict[str, Any]:
    task, minari = run.config.task, library()
    return {
        "dataset_id": dataset,
        "minari_version": minari.__version__,
        "algorithm_name": f"worldmodels, rollouts of {task.env}",
        "description": f"Frames, actions and rewards of {task.name}. An episode's last observation is its one before.",
    }


def _write(rollouts: Rollouts, squash: Squash, path: Path, format: Format, about: dict[str, Any]) -> None:
    from minari.dataset.minari_storage import MinariStorage

    frames = gym.spaces.Box(0, 255, SHAPE, np.uint8)
    actions = squash.native_space  # choices are choices again, so that importing them finds the same `Squash`
    storage = MinariStorage.new(path, frames, actions, data_format=format, jpeg_encoding=False)
    storage.update_metadata(about)
    with progress_bar("Export", len(rollouts), "episodes") as bar:
        storage.update_episodes(_episodes(rollouts, squash, bar.advance))


def _episodes(rollouts: Rollouts, squash: Squash, advance: Callable[[], None]) -> Iterator[Any]:
    """Every episode as Minari's EpisodeBuffer."""
    from minari.data_collector.episode_buffer import EpisodeBuffer

    for start, end in zip(rollouts.starts, rollouts.starts[1:], strict=False):
        rows = slice(int(start), int(end))
        frames, steps = rollouts.frames(rows), rollouts.steps(rows)
        table = rollouts.data.to_table(columns=["seed", "truncated"], offset=rows.start, limit=rows.stop - rows.start)
        seed = int(table["seed"][0].as_py())
        yield EpisodeBuffer(
            seed=None if seed == NO_SEED else seed,
            observations=np.concatenate([frames, frames[-1:]]),
            actions=recorded_actions(steps["action"], squash),
            rewards=steps["reward"],
            terminations=steps["terminated"],
            truncations=table["truncated"].to_numpy(),
        )
        advance()


def _record_namespace(dataset: str) -> None:
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.namespace import create_namespace, list_local_namespaces

    namespace = parse_dataset_id(dataset)[0]
    if namespace is not None and namespace not in list_local_namespaces():
        create_namespace(namespace)
