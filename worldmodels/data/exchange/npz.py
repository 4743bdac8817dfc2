"""Episodes from a folder of `.npz` files, one an episode, as `numpy.savez_compressed` writes them.

A file holds `frames` or `observations`, `actions`, `rewards`, `terminated` and/or `truncated` (or `dones`, which means
`terminated`), and may hold `seed`; `Recording` says how they look. Whatever else it holds is not read.
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from worldmodels.config import TaskConfig
from worldmodels.data.arrays import read_header
from worldmodels.data.exchange.recording import Recording, content_digest, one_line
from worldmodels.envs.make import make_game
from worldmodels.errors import UserError

MAX_BYTES = 4 * 2**30
"""An episode whose arrays are larger is refused unread: a few kilobytes of zip can claim to be anything."""
KEYS = ("frames", "observations", "actions", "rewards", "terminated", "truncated", "dones", "seed")


class NpzFolder:
    """The episodes in a folder, in the order of their file names; a `Source`.

    The game that `task` describes decides what their actions have to be.

    Raises:
        UserError: there is no such folder, it holds no `.npz` file, or the game cannot be made.
    """

    def __init__(self, folder: Path, task: TaskConfig) -> None:
        self.files = sorted(file for file in folder.glob("*.npz") if not file.is_dir())
        if not self.files:
            what = "holds no .npz files" if folder.is_dir() else "is no folder"
            raise UserError(f"{folder} {what}: name the folder with one .npz file an episode.")
        self.names = [str(file) for file in self.files]
        game = make_game(task)
        self.squash, self.space = game.get_wrapper_attr("squash"), game.unwrapped.action_space
        game.close()
        self.identity = {"kind": "npz", "digest": content_digest(self.files, folder, MAX_BYTES)}

    def read(self, number: int) -> Recording:
        """The episode in a file; UserError if it cannot be read or something is missing."""
        try:
            arrays = read_npz(self.files[number])
        except Exception as error:  # zipfile, zlib and NumPy raise nearly everything for a damaged file
            raise UserError(f"{self.names[number]} cannot be read: {one_line(error)}.") from error
        try:
            if not {"terminated", "truncated", "dones"} & arrays.keys():
                raise ValueError("it lacks `terminated` and `truncated`: save how the episode ended")
            no = np.zeros((), bool)
            return Recording(
                _one_of(arrays, "frames", "observations"),
                _one_of(arrays, "actions"),
                _one_of(arrays, "rewards"),
                no if arrays.keys().isdisjoint(("terminated", "dones")) else _one_of(arrays, "terminated", "dones"),
                arrays.get("truncated", no),
                arrays.get("seed"),
            )
        except ValueError as error:
            raise UserError(f"{self.names[number]}: {error}.") from error


def _one_of(arrays: dict[str, NDArray], *keys: str) -> NDArray:
    """The only one of `keys` that there is."""
    names = " or ".join(f"`{key}`" for key in keys)
    found = [arrays[key] for key in keys if key in arrays]
    if len(found) != 1:
        raise ValueError(f"it has to hold either {names}, not both" if found else f"it lacks {names}")
    return found[0]


def read_npz(path: Path) -> dict[str, NDArray]:
    """The arrays of `KEYS` in a file, as plain numbers (nothing is unpickled) and of at most `MAX_BYTES`.

    Raises:
        ValueError: the file is too large or not plain; a damaged one raises nearly anything.
    """
    with zipfile.ZipFile(path) as archive:
        found = {key: f"{key}.npy" for key in KEYS if f"{key}.npy" in archive.namelist()}
        size = sum(archive.getinfo(name).file_size for name in found.values())
        if size > MAX_BYTES:
            raise ValueError(f"its arrays are {size:,} bytes, more than the {MAX_BYTES:,} that an episode may have")
        return {key: _read_array(archive, name) for key, name in found.items()}


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray:
    """An array whose header promises no more than the archive declares, which the archive never exceeds."""
    member = archive.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"`{name}` is not compressed as NumPy does it")
    with archive.open(member) as file:
        try:
            read_header(file, member.file_size)  # type: ignore[arg-type]  # which has all that is needed of a file
        except ValueError as error:
            raise ValueError(f"`{name}` cannot be read: {error}") from error
    with archive.open(member) as file:
        return npy.read_array(file, allow_pickle=False)
