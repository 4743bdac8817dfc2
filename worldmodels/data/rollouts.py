"""Rollouts on disk: a Lance data set with a row a step, which pandas and DuckDB read too.

Row t of an episode holds the frame the agent saw, the action it took, the reward it got for it and whether the
episode ended with it. The frame after the last action is not kept (some games have none).
"""

import contextlib
import dataclasses
import hashlib
import warnings
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import zstandard
from numpy.typing import NDArray

from worldmodels.data.episode import Episode
from worldmodels.data.planes import FrameDecompressor
from worldmodels.envs.actions import Squash
from worldmodels.envs.frames import SHAPE
from worldmodels.errors import UserError
from worldmodels.options import typed
from worldmodels.runs import Run
from worldmodels.stage import Stage

# Lance warns at every fork; the only ones here are of programs that Ray starts, which never touch Lance.
warnings.filterwarnings("ignore", "lance is not fork-safe", UserWarning)

EPISODES = "episodes.lance"
"""Name of the data set in a stage's folder."""
FLUSH_ROWS = 8192
"""Episodes are written together once they have so many steps."""
PIECE = 2**17
"""So many frames, however they are compressed, take less than the 2 GiB that an array of Arrow's holds."""
COLUMNS = ["episode", "step", "seed", "action", "reward", "terminated", "truncated"]
"""All columns but the frames, each of which carries a checksum of its own."""
Rows = NDArray[np.integer]


def schema(action_dim: int) -> pa.Schema:
    """Columns of the data set."""
    return pa.schema(
        [
            pa.field("episode", pa.int32()),
            pa.field("step", pa.int32()),
            pa.field("seed", pa.int64()),
            pa.field("planes", pa.binary(), metadata={"lance-encoding:compression": "none"}),
            pa.field("action", pa.list_(pa.float32(), action_dim)),
            pa.field("reward", pa.float32()),
            pa.field("terminated", pa.bool_()),
            pa.field("truncated", pa.bool_()),
        ]
    )


def to_table(episodes: Sequence[Episode], first: int) -> pa.Table:
    """Episodes as rows, numbered from `first`."""
    length = [len(episode) for episode in episodes]
    last = np.cumsum(length) - 1
    ends = {}
    for name in ("terminated", "truncated"):
        ends[name] = np.zeros(sum(length), bool)
        ends[name][last] = [getattr(episode, name) for episode in episodes]
    actions = np.concatenate([episode.actions for episode in episodes])
    columns = {
        "episode": np.repeat(np.arange(first, first + len(episodes), dtype=np.int32), length),
        "step": np.concatenate([np.arange(n, dtype=np.int32) for n in length]),
        "seed": np.repeat(np.array([episode.seed for episode in episodes], np.int64), length),
        "planes": _binary([frame for episode in episodes for frame in episode.frames]),
        "action": pa.FixedSizeListArray.from_arrays(pa.array(actions.ravel()), actions.shape[1]),
        "reward": np.concatenate([episode.rewards for episode in episodes]),
        **ends,
    }
    return pa.table(columns, schema=schema(actions.shape[1]))


def _binary(blobs: Sequence[bytes]) -> pa.ChunkedArray:
    """Blobs as a column."""
    pieces = [_piece(blobs[first : first + PIECE]) for first in range(0, len(blobs), PIECE)]
    return pa.chunked_array(pieces, pa.binary())


def _piece(blobs: Sequence[bytes]) -> pa.BinaryArray:
    """Up to 2 GiB, in memory that this process keeps: Arrow's own would come anew from the kernel every time."""
    ends = np.cumsum([0, *map(len, blobs)], dtype=np.int32)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(blobs), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(blobs))]
    )


class Rollouts:
    """The episodes in a folder, for reading; opening checks the columns. `append_episodes` adds to them.

    Args:
        path: the data set.
        digest: what `digest` gave when it was finished, if that is known.
        cache: megabytes that Lance may keep of what it knows about where rows are; its own limit is 1 GiB.

    Raises:
        UserError: the folder holds no data set, one with other columns, or other numbers than the digest says.
    """

    def __init__(self, path: Path, digest: str | None = None, cache: int = 64) -> None:
        self.path = path
        if not all(file.is_file() or file.is_dir() for file in path.rglob("*")):
            raise UserError(f"{path} is damaged: not all in it are files: collect the rollouts again.")
        with self._reading():
            # without indices there is nothing for Lance's other cache to hold
            self.data = lance.dataset(_address(path), metadata_cache_size_bytes=cache * 2**20, index_cache_size_bytes=0)
            self._check_columns()
            self._check_files()
            index = self.data.to_table(columns=["episode", "step"])
            episode, step = (_numbers(index[name]) for name in ("episode", "step"))
        if digest not in (None, self.digest()):
            raise UserError(f"{self.path} is damaged: its numbers are not those collected: collect them again.")
        starts = np.flatnonzero(step == 0)
        self.starts = np.append(starts, len(step)).astype(np.int64)
        whole = np.array_equal(episode[starts], np.arange(len(starts))) and len(starts) > 0
        if not whole or not np.array_equal(step, np.arange(len(step)) - np.repeat(starts, self.lengths)):
            raise UserError(f"{self.path} is damaged: its episodes are not complete and in order: collect them again.")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Within, whatever Lance raises for a damaged data set becomes a UserError."""
        try:
            yield
        except (UserError, MemoryError):
            raise
        except BaseException as error:  # a panic of Lance's is no Exception
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise UserError(f"{self.path} holds no rollouts that can be read: collect them again.") from error

    def _check_files(self) -> None:
        """Raise UserError if the data set says that some of its data are elsewhere."""
        files = [file for fragment in self.data.get_fragments() for file in fragment.data_files()]
        if any(Path(file.path).name != file.path or file.base_id is not None for file in files):
            raise UserError(f"{self.path} refers to files that are not in it: it is not read.")

    def digest(self) -> str:
        """SHA-256 of all columns but the frames, however they are cut into files."""
        digests = [hashlib.sha256() for _ in COLUMNS]
        with self._reading():
            for batch in self.data.to_batches(columns=COLUMNS, batch_size=FLUSH_ROWS):
                for digest, column in zip(digests, batch.columns, strict=True):
                    flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
                    digest.update(np.ascontiguousarray(_numbers(flat)).data)
        return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()[:16]

    def _check_columns(self) -> None:
        names = self.data.schema.names
        action = self.data.schema.field("action").type if "action" in names else pa.null()
        size = action.list_size if pa.types.is_fixed_size_list(action) else 0
        if not self.data.schema.equals(schema(size)):
            wanted = ", ".join(schema(1).names)
            raise UserError(f"{self.path} is no data set of rollouts: its columns should be {wanted}.")

    @property
    def action_dim(self) -> int:
        """Size of an action vector."""
        return int(self.data.schema.field("action").type.list_size)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each episode, (E,)."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.starts) - 1

    def frames(self, rows: Rows | slice) -> NDArray[np.uint8]:
        """Frames (N, 64, 64, 3) uint8 of rows in the given order; UserError if one is damaged."""
        with self._reading():
            if isinstance(rows, slice):
                table = self.data.to_table(columns=["planes"], offset=rows.start, limit=rows.stop - rows.start)
            else:
                # Lance wants ascending distinct rows for its fastest path; the order asked for is restored after
                unique, inverse = np.unique(rows, return_inverse=True)
                table = self.data.take(unique, columns=["planes"]).take(pa.array(inverse))
            return self._decode(table["planes"])

    def _decode(self, blobs: pa.ChunkedArray) -> NDArray[np.uint8]:
        decompressor = FrameDecompressor()
        frames = np.empty((len(blobs), *SHAPE), np.uint8)
        try:
            for frame, blob in zip(frames, blobs, strict=True):
                decompressor.into(frame, blob.as_buffer())
        except (zstandard.ZstdError, ValueError, AttributeError) as error:  # the last of a frame that is missing
            raise UserError(f"{self.path} holds a damaged frame ({error}): collect the rollouts again.") from error
        return frames

    def steps(self, rows: slice) -> dict[str, np.ndarray]:
        """Columns `action` (N, A), `reward` and `terminated` (N,) of consecutive rows."""
        names = ["action", "reward", "terminated"]
        with self._reading():
            table = self.data.to_table(columns=names, offset=rows.start, limit=rows.stop - rows.start)
            actions = _numbers(table["action"].combine_chunks().flatten()).reshape(-1, self.action_dim)
            return {"action": actions, **{name: _numbers(table[name]) for name in names[1:]}}

    def seeds(self) -> NDArray[np.int64]:
        """The seed of each episode, (E,); -1 where it is not known."""
        with self._reading():
            return _numbers(self.data.take(self.starts[:-1], columns=["seed"])["seed"])

    def episode_returns(self) -> NDArray[np.float64]:
        """Sum of rewards of each episode, (E,)."""
        with self._reading():
            rewards = _numbers(self.data.to_table(columns=["reward"])["reward"])
        return np.add.reduceat(rewards.astype(np.float64), self.starts[:-1])

    def chunks(self, size: int, first: int = 0) -> Iterator[slice]:
        """Consecutive slices of at most `size` rows from row `first` to the end."""
        for start in range(first, int(self.starts[-1]), size):
            yield slice(start, min(start + size, int(self.starts[-1])))

    def split(self, validation_fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the training and of the validation episodes; a fixed, even spread over the collection.

        Raises UserError if there are fewer than two episodes.
        """
        return split_episodes(len(self), validation_fraction)


def _numbers(column: pa.Array | pa.ChunkedArray) -> NDArray:
    """A column's values; ValueError if some are missing."""
    if column.null_count:
        raise ValueError("values are missing")
    return column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)


def rollouts_of(run: Run) -> Rollouts:
    """A run's finished rollouts; UserError if they are unfinished or not what they were when they were finished."""
    digest = run.rollouts.summary().get("digest")
    return Rollouts(run.rollouts.folder / EPISODES, digest, run.config.compute.cache)


def split_episodes(count: int, validation_fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every 1/fraction-th episode is for validation, at least one and at most half of them."""
    if count < 2:
        raise UserError(f"{count} episodes are too few to hold one out for validation: collect more.")
    every = max(2, round(1 / max(validation_fraction, 1 / count)))
    numbers = np.arange(count)
    held_out = numbers % every == min(every, count) - 1
    return numbers[~held_out], numbers[held_out]


HELD_OUT = 128
"""At most so many held-out episodes are followed where M's dreams are measured."""


def spread(episodes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the episodes, evenly spread: where a collection was added to, some of every part."""
    picks = np.linspace(0, len(episodes) - 1, min(count, len(episodes)))
    return episodes[picks.round().astype(np.int64)]


def append_episodes(path: Path, episodes: Sequence[Episode], first: int) -> None:
    """Append episodes, numbered from `first`, to the data set at `path`, making it if there is none. Atomic."""
    table = to_table(episodes, first)
    lance.write_dataset(table, _address(path), mode="append" if first else "create", schema=table.schema)


def forget_versions(path: Path) -> None:
    """Remove what earlier versions, and writes that failed, have left of a data set in which nobody else works."""
    lance.dataset(_address(path)).cleanup_old_versions(timedelta(0), delete_unverified=True)


def _address(path: Path) -> str:
    """The path as Lance takes it: in a relative one, such as `mine:2/rollouts`, a colon would make it a URL."""
    return str(path.absolute())


def rows_of(starts: NDArray[np.int64], episodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """All row numbers of the given episodes."""
    return np.concatenate([np.arange(starts[e], starts[e + 1]) for e in episodes])


def summarise(rollouts: Rollouts, squash: Squash) -> dict[str, object]:
    """What a finished stage of rollouts reports: its size, and how outputs of C become the game's actions."""
    return {
        "episodes": len(rollouts),
        "frames": int(rollouts.starts[-1]),
        "mean_return": float(rollouts.episode_returns().mean()),
        "squash": dataclasses.asdict(squash),
        "digest": rollouts.digest(),
    }


def squash_of(stage: Stage) -> Squash:
    """How outputs of C become actions of the game that a finished stage of rollouts was played in."""
    return typed(Squash, stage.summary()["squash"], str(stage.folder))
