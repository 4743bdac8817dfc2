"""A stage that is killed at any moment and called again leaves exactly what an undisturbed one leaves."""

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from counting import tiny_config
from killing import contents, run_stage

from worldmodels.registry import BUILT_IN

CONFIG = tiny_config()
FOLDERS = {
    "collect": ["rollouts"],
    "vision": ["vision"],
    "memory": ["latents", "memory"],
    "calibration": ["calibration"],
    "real": ["controllers/real"],
    "dream": ["controllers/dream"],
    "iterate": [f"next/{name}" for name in ("rollouts", "vision", "latents", "memory", "controllers/real")],
}
FEW = 6
"""So many of a stage's moments are tried, evenly spread; the slow tests try all."""
ALL = pytest.param(None, marks=pytest.mark.slow, id="all")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Undisturbed stages, each folder as it was before its stage, and the moments at which a stage can be killed."""
    root = tmp_path_factory.mktemp("finished")
    run, moments = root / "run", {}
    run.mkdir()
    for stage in FOLDERS:
        shutil.copytree(run, root / f"before {stage}")
        moments[stage] = run_stage(run, CONFIG, stage)
    return root, moments


def left(run: Path, stage: str) -> dict[str, object]:
    return {folder: contents(run / folder) for folder in FOLDERS[stage]}


@pytest.mark.parametrize("stage", FOLDERS)
def test_the_same_stage_in_another_folder_gives_the_same_bytes(
    stage: str, finished: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    root, moments = finished
    again = tmp_path / "again"
    shutil.copytree(root / f"before {stage}", again)
    assert run_stage(again, CONFIG, stage) == moments[stage]
    assert left(again, stage) == left(root / "run", stage)


def tried(first: int, last: int, count: int | None) -> list[int]:
    """So many moments from the first to the last; all if no count is given."""
    return np.unique(np.linspace(first, last, count or last - first + 1).round().astype(int)).tolist()


@pytest.mark.parametrize("count", [pytest.param(FEW, id="few"), ALL])
@pytest.mark.parametrize("stage", FOLDERS)
def test_a_killed_stage_resumes_to_the_same_bytes(
    stage: str, count: int | None, finished: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    root, moments = finished
    assert moments[stage] >= 8
    for kill_at in tried(1, moments[stage], count):
        killed = tmp_path / f"killed-{kill_at}"
        shutil.copytree(root / f"before {stage}", killed)
        run_stage(killed, CONFIG, stage, kill_at)
        run_stage(killed, CONFIG, stage)
        assert left(killed, stage) == left(root / "run", stage), f"killed at moment {kill_at}"
        shutil.rmtree(killed)


def test_a_stage_that_is_killed_again_and_again_gets_there(
    finished: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    root, _ = finished
    killed = tmp_path / "killed"
    shutil.copytree(root / "before real", killed)
    for _ in range(3):
        run_stage(killed, CONFIG, "real", kill_at=7)
    run_stage(killed, CONFIG, "real")
    assert left(killed, "real") == left(root / "run", "real")


@pytest.mark.parametrize(("model", "kill_at"), [*zip(BUILT_IN, itertools.cycle([7, 11]), strict=False)])
def test_every_vision_model_resumes_to_the_same_bytes(
    model: str, kill_at: int, finished: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    root, _ = finished
    falling = CONFIG.vision.learning_rate / 10
    config = replace(CONFIG, vision=replace(CONFIG.vision, model=model, final_learning_rate=falling))
    for name in ("straight", "killed"):
        shutil.copytree(root / "before vision", tmp_path / name)
    run_stage(tmp_path / "straight", config, "vision")
    run_stage(tmp_path / "killed", config, "vision", kill_at)
    run_stage(tmp_path / "killed", config, "vision")
    assert left(tmp_path / "killed", "vision") == left(tmp_path / "straight", "vision")


@pytest.mark.parametrize("count", [pytest.param(FEW, id="few"), ALL])
def test_the_training_of_several_ms_resumes_to_the_same_bytes(
    count: int | None, finished: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    root, moments = finished
    folders = ["memory", "memory-1", "memory-2"]
    config = replace(CONFIG, memory=replace(CONFIG.memory, members=3, dropout=0.3))
    straight = tmp_path / "straight"
    shutil.copytree(root / "before memory", straight)
    total = run_stage(straight, config, "memory")
    assert total > moments["memory"] + 40
    for kill_at in tried(moments["memory"] - 12, total, count):  # encoding and the first M are killed above
        killed = tmp_path / f"killed-{kill_at}"
        shutil.copytree(root / "before memory", killed)
        run_stage(killed, config, "memory", kill_at)
        run_stage(killed, config, "memory")
        assert [contents(killed / name) for name in folders] == [contents(straight / name) for name in folders], kill_at
        shutil.rmtree(killed)
