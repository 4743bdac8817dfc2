import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from counting import tiny_config
from killing import contents

from worldmodels import pipeline
from worldmodels.config import CalibrateConfig, Config, EvaluateConfig, RenderConfig
from worldmodels.evaluate import read_scores
from worldmodels.evolution.first_mean import FIRST
from worldmodels.iterations import iterations
from worldmodels.kept import CONTROLLER
from worldmodels.pipeline import run_pipeline
from worldmodels.runs import Run

SHORT = RenderConfig(seconds=0.2, scale=1, dreams=1, temperatures=(), gif=False)
STAGES = ("rollouts", "vision", "latents", "memory", "controllers/real", "controllers/dream")


def short_config(**options: object) -> Config:
    return dataclasses.replace(tiny_config(), evaluate=EvaluateConfig(episodes=2), render=SHORT, **options)


def test_the_pipeline_makes_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path / "run", short_config())
    run_pipeline(run)
    for path in ("evaluation/scores.json", "videos/real-real.mp4", "videos/dream-dream.mp4", "report/index.html"):
        assert (run.folder / path).stat().st_size > 0
    kept = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.safetensors")}
    films = {path: path.stat().st_mtime_ns for path in (run.folder / "videos").iterdir()}
    assert kept
    monkeypatch.setattr(pipeline, "render_real", None)
    run_pipeline(run)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert {path: path.stat().st_mtime_ns for path in films} == films


@pytest.fixture
def unfilmed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Films are not made, but noted: the folders of the runs whose agents would be filmed."""
    filmed: list[Path] = []
    monkeypatch.setattr(pipeline, "_film", lambda run, *_: filmed.append(run.folder))
    return filmed


def test_films_are_made_until_all_are_there_and_again_for_what_changed(tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder / "controllers", tmp_path / "run" / "controllers")
    run, made = Run(tmp_path / "run", short_config()), list[str]()

    def film(run: Run, name: str) -> None:
        (run.folder / "videos").mkdir(exist_ok=True)
        for kind in ("dream", "temperatures"):
            if len(made) == 1:
                made.append("killed")
                raise KeyboardInterrupt
            (run.folder / "videos" / f"{kind}-{name}.mp4").write_bytes(b"film")
            made.append(kind)

    with pytest.raises(KeyboardInterrupt):
        pipeline._film(run, "real", "dream", film)
    for again in (True, False):
        made.clear()
        made += ["begun", "again"]
        pipeline._film(run, "real", "dream", film)
        assert made[2:] == (["dream", "temperatures"] if again else [])
    larger = Run(run.folder, dataclasses.replace(run.config, render=dataclasses.replace(SHORT, scale=2)))
    pipeline._film(larger, "real", "dream", film)
    assert made[2:] == ["dream", "temperatures"]
    faster = dataclasses.replace(larger.config.task, fps=60.0)
    larger = Run(run.folder, dataclasses.replace(larger.config, task=faster))
    pipeline._film(larger, "real", "dream", film)
    assert made[2:] == ["dream", "temperatures"] * 2
    controller = run.controller("real")
    controller.finish({**controller.summary(), "generations": 5}, [CONTROLLER])
    pipeline._film(larger, "real", "dream", film)
    assert made[2:] == ["dream", "temperatures"] * 3


def left(runs: list[Run]) -> list[dict[str, object]]:
    return [contents(run.folder / stage) for run in runs for stage in STAGES]


def stop_in(folder: Path, stage: Callable[..., None]) -> Callable[..., None]:
    """The stage, interrupted as it begins in a folder of this folder's."""

    def stopped(run: Run, *names: str) -> None:
        if run.folder.parent == folder:
            raise KeyboardInterrupt
        stage(run, *names)

    return stopped


def test_iterations_follow_one_another_whenever_they_are_stopped(
    tmp_path: Path, unfilmed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = short_config(iterations=2, calibrate=CalibrateConfig(episodes=0))
    run = Run(tmp_path / "run", config)
    run_pipeline(run)
    first, second = iterations(run)
    assert set(unfilmed) == {second.folder}
    assert [one.rollouts.summary()["episodes"] for one in (first, second)] == [12, 24]
    for name in ("vision", "memory", "controllers/real", "controllers/dream"):
        assert second.stage(name, "", "").options()["previous"] == first.stage(name, "", "").fingerprint()
    assert_told(first, second)

    stopped = Run(tmp_path / "stopped", config)
    for name in ("evaluate", "write_report"):
        monkeypatch.setattr(pipeline, name, lambda run: None)
    run_pipeline(Run(stopped.folder, dataclasses.replace(config, iterations=1)))
    assert unfilmed[-1] == stopped.folder
    for name in ("train_vision", "train_checked_memory", "train_controller"):
        with monkeypatch.context() as patched:
            patched.setattr(pipeline, name, stop_in(stopped.folder / "iterations", getattr(pipeline, name)))
            with pytest.raises(KeyboardInterrupt):
                run_pipeline(stopped)
    run_pipeline(stopped)
    assert left(iterations(stopped)) == left([first, second])


@pytest.mark.usefixtures("unfilmed")
def test_an_iteration_may_begin_v_and_m_anew_and_carry_c_over(tmp_path: Path) -> None:
    later = {"anew": "vision", "controllers": {"real": {"begin": "behaviour"}}}
    run = Run(tmp_path / "run", short_config(iterations=2, later=later, calibrate=CalibrateConfig(episodes=0)))
    run_pipeline(run)
    first, second = iterations(run)
    assert not any("previous" in stage.options() for stage in (second.vision, second.memory))
    assert second.controller("real").options()["previous"] == first.controller("real").fingerprint()
    assert [(second.controller(name).folder / FIRST).exists() for name in ("real", "dream")] == [True, False]


def assert_told(first: Run, second: Run) -> None:
    """The last one's report has a row for each iteration."""
    rows = (second.folder / "report" / "report.md").read_text().splitlines()
    for number, one in enumerate((first, second), 1):
        [score] = [row for row in read_scores(one) if (row.agent, row.world) == ("real", "real")]
        [told] = [row for row in rows if row.startswith(f"| {number} | real |")]
        losses = [stage.summary()["validation"]["loss"] for stage in (one.vision, one.memory)]
        numbers = [*losses, one.controller("real").summary()["validation"]]
        expected = [str(one.rollouts.summary()["frames"]), *(f"{value:.4g}" for value in numbers)]
        assert told == f"| {number} | real | {' | '.join(expected)} | {score.mean:.1f} ± {score.std:.1f} |"
    assert "## Iterations" not in (first.folder / "report" / "report.md").read_text()
