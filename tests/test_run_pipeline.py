import dataclasses
from pathlib import Path

import pytest
from counting import tiny_config

from worldmodels import pipeline
from worldmodels.config import EvaluateConfig, RenderConfig
from worldmodels.pipeline import run_pipeline
from worldmodels.runs import Run


def test_the_pipeline_makes_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(
        tiny_config(),
        evaluate=EvaluateConfig(episodes=2),
        render=RenderConfig(seconds=0.2, scale=1, dreams=1, temperatures=(), gif=False),
    )
    run = Run(tmp_path / "run", config)
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
