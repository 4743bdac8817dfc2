"""Episodes from a data set of Minari, the collection of offline data of Gymnasium's makers (https://minari.farama.org).

Minari is an optional dependency (`pip install 'worldmodels[minari]'`) and imported only where it is used.
"""

from pathlib import Path
from types import ModuleType

import gymnasium as gym
import numpy as np

from worldmodels.config import TaskConfig
from worldmodels.data.exchange.recording import Recording, content_digest, one_line
from worldmodels.envs.actions import squash_for
from worldmodels.envs.frames import is_image
from worldmodels.errors import UserError

MAX_BYTES = 2**36
"""A file of a data set with more than 64 GiB is refused unread."""


def library() -> ModuleType:
    """Minari; UserError if it is not installed."""
    try:
        import minari
        import minari.dataset._storages.hdf5_storage  # the backend of most data sets
    except ImportError as error:
        raise UserError(f"Minari is not installed ({error}): pip install 'minari[hdf5]' gets it.") from error
    return minari


def data_set_path(name: str) -> Path:
    """Folder of a data set on this machine, whether or not it exists; UserError for what cannot be a name."""
    library()
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.storage import get_dataset_path

    try:
        parse_dataset_id(name)
    except (ValueError, TypeError) as error:  # without a version, TypeError
        raise UserError(f"{name!r} cannot be a Minari data set: its name should be like games/racing-v0.") from error
    return Path(get_dataset_path(name))


class MinariSet:
    """The episodes of a Minari data set on this machine; a `Source`. Nothing is downloaded, and no game is made.

    The data set's own action space decides how C's outputs become actions.

    Raises:
        UserError: Minari is not installed, the data set is missing, damaged or empty, it does not observe images, or
            its actions cannot be mapped.
    """

    def __init__(self, name: str, task: TaskConfig) -> None:
        folder = data_set_path(name) / "data"
        if not folder.is_dir():
            raise UserError(f"There is no data set {name} in {folder.parents[1]}: `minari download {name}` may get it.")
        if not all(file.is_file() or file.is_dir() for file in folder.rglob("*")):
            raise UserError(f"The Minari data set {name} cannot be read: not all in {folder} are files.")
        self.data = _open(name, folder)
        self.names = [f"Episode {number} of {name}" for number in range(self.data.total_episodes)]
        if not self.names:
            raise UserError(f"The data set {name} has no episodes.")
        self.image_key = _image_key(name, self.data.observation_space, task.image_key)
        self.space = self.data.action_space
        try:
            self.squash = squash_for(self.space, task.squash)
        except UserError as error:
            reason = str(error)
            raise UserError(f"The data set {name} cannot be imported, since {reason[0].lower()}{reason[1:]}") from error
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        self.identity = {"kind": "minari", "name": name, "digest": content_digest(files, folder, MAX_BYTES)}

    def read(self, number: int) -> Recording:
        """An episode; UserError if it cannot be read."""
        try:
            episode = next(iter(self.data.iterate_episodes([number])))
            about = next(iter(self.data.storage.get_episode_metadata([number])))
            frames = episode.observations if self.image_key is None else episode.observations[self.image_key]
            return Recording(
                frames=np.asarray(frames),
                actions=np.asarray(episode.actions),
                rewards=np.asarray(episode.rewards),
                terminated=episode.terminations,
                truncated=episode.truncations,
                seed=about.get("seed"),
            )
        except Exception as error:  # whatever HDF5, Arrow and Minari raise for a damaged file
            raise UserError(f"{self.names[number]} cannot be read: {one_line(error)}.") from error


def _open(name: str, folder: Path):  # type: ignore[no-untyped-def]  # MinariDataset, which need not be installed
    from minari import MinariDataset
    from minari.dataset.minari_storage import MinariStorage

    try:
        about = MinariStorage.read_raw_metadata(folder)
        if not {"observation_space", "action_space"} <= about.keys():  # Minari would make the game it names to find out
            raise ValueError("it does not record its observation and action space")
        return MinariDataset(folder)
    except Exception as error:  # whatever HDF5, Arrow and Minari raise for a damaged file
        raise UserError(f"The Minari data set {name} cannot be read: {one_line(error)}.") from error


def _image_key(name: str, space: gym.Space, key: str | None) -> str | None:
    """Key of the image in a data set's observations, or None if they are images; UserError if there is none."""
    found = None
    if isinstance(space, gym.spaces.Dict):
        if key not in space.spaces:
            keys = ", ".join(space.spaces)
            raise UserError(f"The data set {name} observes a Dict with {keys}: name the image as --task.image-key.")
        found, space = key, space[key]
    if not isinstance(space, gym.spaces.Box) or space.dtype != np.uint8 or not is_image(space.shape):
        raise UserError(f"The data set {name} observes {space}, which is no image of uint8 (height, width, 1 or 3).")
    return found
