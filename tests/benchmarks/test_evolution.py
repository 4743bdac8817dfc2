import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from worldmodels.evolution.history import read_history
from worldmodels.options import write_yaml
from worldmodels.runs import Run

EVOLUTION = Path(__file__).resolve().parents[2] / "benchmarks" / "evolution.py"


@pytest.fixture
def run(tiny_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    (tmp_path / "run" / "config.yaml").write_text(write_yaml(tiny_run.config))
    return Run(tmp_path / "run", tiny_run.config)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["evolution.py", *map(str, arguments)])
    runpy.run_path(str(EVOLUTION), run_name="__main__")


def test_optimisers_are_compared_in_runs_beside_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path for path in run.folder.rglob("*") if path.name != ".lock")
    arguments = ("--run", run.folder, "--optimizers", "cma", "openes", "--generations", 4, "--seeds", 2)
    call(monkeypatch, *arguments)
    table = capsys.readouterr().out
    beside = run.folder.with_name("run-optimizers")
    histories = {
        (name, seed): read_history(beside / f"real-{seed}" / "controllers" / name)
        for name in ("cma", "openes")
        for seed in (1, 2)
    }
    assert [len(history) for history in histories.values()] == [4] * 4
    for name in ("cma", "openes"):
        kept = [max(entry.score for entry in histories[name, seed]) for seed in (1, 2)]
        assert all(f"{score:.1f}" in table for score in kept)
        assert f"{np.mean(kept):.1f} +- {np.std(kept, ddof=1):.1f}" in table
    assert sorted(path for path in run.folder.rglob("*") if path.name != ".lock") == before
    call(monkeypatch, *arguments)
    assert capsys.readouterr().out == table
    assert {key: read_history(beside / f"real-{key[1]}" / "controllers" / key[0]) for key in histories} == histories


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(["--controller", "imagined"], "no controller imagined"), (["--run", "nowhere"], "M is missing in nowhere")],
)
def test_what_cannot_be_compared_is_refused(
    run: Run,
    arguments: list[str],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        call(monkeypatch, "--run", run.folder, *arguments)
    assert why in capsys.readouterr().err


def test_the_cost_of_everything_but_playing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "--optimizers", "openes", "--generations", 2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("openes" in line and "ms" in line for line in lines[1:])
