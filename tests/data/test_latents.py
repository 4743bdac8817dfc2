import shutil
from pathlib import Path

import numpy as np
import pytest

from worldmodels.data.latents import FIELDS, FILES, Latents
from worldmodels.errors import UserError
from worldmodels.runs import Run


@pytest.fixture
def folder(tiny_run: Run, tmp_path: Path) -> Path:
    shutil.copytree(tiny_run.latents.folder, tmp_path / "latents")
    return tmp_path / "latents"


def test_latents_are_read_without_a_copy(folder: Path) -> None:
    latents = Latents(folder)
    assert isinstance(latents.mu, np.memmap)
    assert (latents.latent_dim, latents.action_dim, len(latents)) == (5, 1, 12)
    assert latents.lengths.sum() == len(latents.mu)


@pytest.mark.parametrize("name", [*FIELDS, "starts"])
@pytest.mark.parametrize("damage", ["missing", "empty", "foreign", "short", "pickle"])
def test_damaged_latents_are_refused(folder: Path, name: str, damage: str) -> None:
    path = folder / f"{name}.npy"
    array = np.load(path)
    path.unlink()
    if damage == "empty":
        path.touch()
    elif damage == "foreign":
        path.write_bytes(b"PK\x03\x04")
    elif damage == "short":
        np.save(path, array[:-1])
    elif damage == "pickle":
        np.save(path, np.array([{}], object))
    with pytest.raises(UserError, match="latents"):
        Latents(folder)


@pytest.mark.parametrize("name", FILES)
def test_latents_that_changed_are_refused(tiny_run: Run, tmp_path: Path, name: str) -> None:
    run = Run(tmp_path / "run", tiny_run.config)
    shutil.copytree(tiny_run.latents.folder, run.latents.folder)
    run.latents.verify()
    path = run.latents.folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    with pytest.raises(UserError, match="is missing or damaged"):
        run.latents.verify()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("mu", np.zeros((4, 5))),
        ("mu", np.zeros(4, np.float32)),
        ("starts", np.zeros(1, np.int64)),
        ("starts", np.array([0, 3, 2], np.int64)),
        ("starts", np.arange(1000)),
        ("action", np.array([[object()]])),
    ],
)
def test_arrays_of_another_kind_are_no_latents(tiny_run: Run, tmp_path: Path, name: str, array: np.ndarray) -> None:
    shutil.copytree(tiny_run.latents.folder, tmp_path / "latents")
    np.save(tmp_path / "latents" / f"{name}.npy", array, allow_pickle=True)
    with pytest.raises(UserError, match=r"holds no readable latents|is damaged"):
        Latents(tmp_path / "latents")
