"""The game's true state at steps of the rollouts, found by playing recorded episodes again.

A game is a function of its seed and the actions, and rollouts hold both. Every reward, every end and every frame is
compared on the way, so a label belongs to its frame for certain.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldmodels.config import TaskConfig
from worldmodels.data.arrays import open_array
from worldmodels.data.rollouts import Rollouts, rollouts_of, rows_of, split_episodes
from worldmodels.disk import require_space
from worldmodels.envs.frames import SIZE
from worldmodels.envs.labelled import labelled_game
from worldmodels.envs.state import Label
from worldmodels.errors import UserError
from worldmodels.files import atomic
from worldmodels.metrics import progress_bar, say
from worldmodels.pulse import beat
from worldmodels.runs import Run
from worldmodels.workers import Pool

NUMBERS, OBJECTS = "numbers.npy", "objects.npy"
MASK_BYTES = SIZE * SIZE // 8
"""A frame's pixels, a bit each."""


class EpisodeLabels(NamedTuple):
    """T steps of an episode: labels float32 (T, L), and pixels of small objects, (T, 64 * 64 / 8) packed bits."""

    numbers: NDArray[np.float32]
    objects: NDArray[np.uint8]


class Labels:
    """Labels of some episodes, opened for reading.

    Attributes:
        labels: what they are, L of them.
        objects: what the small objects are, in words.
        episodes: numbers of the labelled episodes, ascending.
        rows: int64 (N,), the rows of the rollouts that have labels, ascending.
        numbers: float32 (N, L), the labels; NaN where there is nothing to be told.
    """

    def __init__(self, folder: Path, summary: dict, starts: NDArray[np.int64]) -> None:
        try:
            self.labels = tuple(Label(*entry) for entry in summary["labels"])
            self.objects = str(summary["objects"])
            self.episodes = np.array(summary["episodes"], np.int64)
            self.rows = rows_of(starts, self.episodes)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise UserError(f"{folder} does not say what is labelled: delete it and label again.") from error
        try:
            numbers = open_array(folder / NUMBERS, np.float32, 2)
            self._packed = open_array(folder / OBJECTS, np.uint8, 2)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} holds no readable labels ({error}): delete it and label again.") from error
        wanted = [(len(self.rows), len(self.labels)), (len(self.rows), MASK_BYTES)]
        if [numbers.shape, self._packed.shape] != wanted:
            raise UserError(f"{folder} is damaged: its arrays are of different lengths: delete it and label again.")
        self.numbers: NDArray[np.float32] = np.array(numbers)

    @property
    def names(self) -> list[str]:
        """Names of the labels."""
        return [label.name for label in self.labels]

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Labels (N, L) of rows of the rollouts, all of them labelled."""
        return self.numbers[self._places(rows)]

    def masks(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Pixels (N, 64, 64) of small objects in rows of the rollouts, all of them labelled."""
        bits = np.unpackbits(self._packed[self._places(rows)], axis=1)
        return bits.reshape(len(rows), SIZE, SIZE).astype(bool)

    def _places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        places = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        if not np.array_equal(self.rows[places], rows):
            raise KeyError("Some of these rows have no labels.")
        return places


class Recorded(NamedTuple):
    """An episode of T steps as it was recorded: all that is needed to play it again, on any machine.

    Attributes:
        number, seed: of the episode.
        frames: uint8 (T, 64, 64, 3).
        steps: columns of T rows, as `Rollouts.steps` has them.
    """

    number: int
    seed: int
    frames: NDArray[np.uint8]
    steps: dict[str, np.ndarray]

    @classmethod
    def of(cls, rollouts: Rollouts, number: int) -> "Recorded":
        """Episode `number` of the rollouts."""
        rows = slice(*rollouts.starts[number : number + 2])
        return cls(number, int(rollouts.seeds()[number]), rollouts.frames(rows), rollouts.steps(rows))

    def describe(self) -> str:
        """What it is called in messages."""
        return f"episode {self.number} with seed {self.seed}"


class ComesOutOtherwise(UserError):
    """An episode is not what it was when it was recorded."""


class ReplayEpisode:
    """A worker's job: plays a recorded episode again and reads the game's state at every step."""

    def __init__(self, task: TaskConfig) -> None:
        self.game, self.reader = labelled_game(task)

    def __call__(self, episode: Recorded) -> EpisodeLabels:
        """The labels of an episode; ComesOutOtherwise if it does."""
        assert self.reader is not None
        number, recorded = episode.number, episode.steps
        numbers, objects = [], []
        frame, info = self.game.reset(seed=episode.seed)
        for step, action in enumerate(recorded["action"]):
            _check(np.array_equal(frame, episode.frames[step]), number, step, "frame")
            label, mask = self.reader.read(info)
            numbers.append(label)
            objects.append(np.packbits(mask))
            frame, reward, terminated, _, info = self.game.step(action)
            beat()
            _check(np.float32(reward) == recorded["reward"][step], number, step, "reward")
            _check(terminated == recorded["terminated"][step], number, step, "end")
        return EpisodeLabels(np.stack(numbers), np.stack(objects))

    def close(self) -> None:
        """Close the game."""
        self.game.close()


def _check(same: bool, number: int, step: int, what: str) -> None:
    if not same:
        raise ComesOutOtherwise(
            f"Episode {number} of the rollouts comes out otherwise when it is played again: the {what} of step {step} "
            "differs, so the game's state is not known"
        )


def label_rollouts(run: Run) -> Labels | None:
    """Labels of some of the run's training and validation episodes, found once; None if the game tells none.

    If an episode comes out otherwise than it was recorded, UserError is raised, unless the rollouts, or the first of
    them, were taken over from elsewhere: they cannot be collected anew, and a sentence says that they have no labels.
    """
    try:
        return _found_labels(run)
    except ComesOutOtherwise as error:
        if run.rollouts.options().keys().isdisjoint(("import", "onto")):
            raise UserError(f"{error}: collect new rollouts on this machine.") from error
        say(f"{error}, and these rollouts have no labels.")
        return None


def _found_labels(run: Run) -> Labels | None:
    rollouts = rollouts_of(run)
    chosen = labelled_episodes(len(rollouts), run.config.vision.validation_fraction, run.config.measure.label_episodes)
    if (rollouts.seeds()[chosen] < 0).any():
        return None  # imported without the seeds
    game, reader = labelled_game(run.config.task)
    game.close()
    if reader is None:
        return None
    # not of the run's seed, so that runs which share their rollouts may share their labels
    options = {"task": run.made_from()["task"], "episodes": chosen.tolist()}
    stage = run.labels
    if stage.started and stage.options().get("episodes") != options["episodes"]:
        raise UserError(
            f"{stage.folder} holds labels of other episodes than measure.label_episodes = "
            f"{run.config.measure.label_episodes} chooses of these rollouts: ask for as many as before, or delete the "
            "folder to label again."
        )
    with stage.begin(options, [run.rollouts]):
        if stage.done is None:
            needed = int(np.diff(rollouts.starts)[chosen].sum()) * (4 * len(reader.labels) + MASK_BYTES)
            require_space(stage.folder, needed, "The labelling", run.config.compute)
            pool = Pool(partial(ReplayEpisode, run.config.task), run.config.compute, describe=Recorded.describe)
            with pool, progress_bar("Labels", len(chosen), "episodes") as bar:

                def replayed() -> Iterator[EpisodeLabels]:
                    for episode in pool.map(Recorded.of(rollouts, number) for number in chosen.tolist()):
                        bar.advance()
                        yield episode

                parts = EpisodeLabels(*map(np.concatenate, zip(*replayed(), strict=True)))
            _save(stage.folder / NUMBERS, parts.numbers)
            _save(stage.folder / OBJECTS, parts.objects)
            told = {"labels": [list(label) for label in reader.labels], "objects": reader.objects}
            stage.finish({**told, "episodes": chosen.tolist()}, [NUMBERS, OBJECTS])
    return Labels(stage.folder, stage.summary(), rollouts.starts)


def labelled_episodes(count: int, validation_fraction: float, limit: int) -> NDArray[np.int64]:
    """Up to `limit` training and `limit` validation episodes, evenly spread, ascending."""
    sides = split_episodes(count, validation_fraction)
    picks = [side[np.unique(np.linspace(0, len(side) - 1, limit).astype(int))] for side in sides]
    return np.sort(np.concatenate(picks))


def _save(path: Path, array: NDArray) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)
