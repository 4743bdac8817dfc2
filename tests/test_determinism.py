"""The same seed gives the same evolution, bit for bit, whatever the number of workers and whatever dies."""

import dataclasses
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from counting import tiny_config
from evolving import with_controller

from worldmodels.evaluate import evaluate
from worldmodels.evolution.fitness import Fitness
from worldmodels.evolution.history import read_history
from worldmodels.evolution.train import train_controller
from worldmodels.kept import CONTROLLER
from worldmodels.ray_cluster import end_ray, start_ray
from worldmodels.runs import Run
from worldmodels.world_model import BLOCK

GENERATIONS = 4
RAY = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


def evolved(run: Run, folder: Path, world: str, workers: int) -> tuple[list[dict], bytes]:
    """An evolution on a copy of a run: its history without clock times, and the controller that came out."""
    shutil.copytree(run.folder, folder)
    options = dataclasses.asdict(tiny_config().controllers["real"]) | {"world": world, "generations": GENERATIONS}
    options |= {"population": 6, "max_steps": 20, "validate_every": GENERATIONS, "validation_episodes": 1}
    config = with_controller(run.config, "new", **options)
    config = dataclasses.replace(config, compute=dataclasses.replace(config.compute, workers=workers))
    again = Run(folder, config)
    train_controller(again, "new")
    stage = again.controller("new").folder
    entries = [dataclasses.asdict(entry) | {"seconds": 0} for entry in read_history(stage)]
    return entries, (stage / CONTROLLER).read_bytes()


@pytest.mark.parametrize("world", ["real", "dream"])
def test_an_evolution_is_the_same_however_its_work_is_divided(
    world: str, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for parts in (1, 2, 4):
        original = Fitness.__init__

        def init(self: Fitness, worlds: object, parts: int = parts, original: object = original) -> None:
            original(self, worlds)
            self.pool.size = parts

        with monkeypatch.context() as patched:
            patched.setattr(Fitness, "__init__", init)
            results.append(evolved(tiny_run, tmp_path / str(parts), world, workers=0))
    assert results[0] == results[1] == results[2]
    assert len({tuple(entry["fitness"]) for entry in results[0][0]}) == GENERATIONS


@RAY
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("which", "world"), [("tiny_run", "real"), ("tiny_run", "dream"), ("tiny_car_run", "real")])
def test_an_evolution_is_the_same_for_any_number_of_workers_and_with_one_killed_in_every_generation(
    which: str,
    world: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run = request.getfixturevalue(which)
    start_ray(dataclasses.replace(run.config.compute, workers=4))
    try:
        results = [evolved(run, tmp_path / str(workers), world, workers) for workers in (0, 1, 2, 4)]
        assert "takes its place" not in capfd.readouterr().err
        original = Fitness.evaluate

        def disturbed(self: Fitness, *arguments: object) -> object:
            while not all(seat.up for seat in self.pool._seats):  # or nobody would be there to be killed
                list(self.pool.map([]))
                time.sleep(0.1)
                for seat in self.pool._seats:
                    if not seat.up and self.pool._ray.wait([seat.waits_for], timeout=0)[0]:
                        seat.listen()
            os.kill(self.pool._seats[0].pid, signal.SIGKILL)
            return original(self, *arguments)

        monkeypatch.setattr(Fitness, "evaluate", disturbed)
        results.append(evolved(run, tmp_path / "killed", world, workers=2))
        assert capfd.readouterr().err.count("died at candidates") >= GENERATIONS
    finally:
        end_ray()
    assert all(result == results[0] for result in results[1:])


def test_scores_are_the_same_however_the_work_is_divided(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for lanes in (BLOCK, BLOCK + 3, 2 * BLOCK + 1):
        shutil.copytree(tiny_run.folder, tmp_path / str(lanes))
        compute = dataclasses.replace(tiny_run.config.compute, lanes=lanes, dream_lanes=lanes // 4)
        options = dataclasses.replace(tiny_run.config.evaluate, episodes=7, random_policy=False)
        run = Run(tmp_path / str(lanes), dataclasses.replace(tiny_run.config, compute=compute, evaluate=options))
        evaluate(run)
        written.append((run.evaluation.folder / "episodes.csv").read_bytes())
    assert written[0] == written[1] == written[2]
    assert np.char.count(written[0].decode(), "\n") > 7
