import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from worldmodels.evolution.history import read_history
from worldmodels.runs import Run

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "dream_guards.py"
BUDGET = [
    "--generations", 2, "--dreams", 5, "--episodes", 4, "--validation-episodes", 2, "--members", 2, "--open-loop", 4,
]  # fmt: skip


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    try:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in a folder: when it was written, and what."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_every_guard_is_scored_in_dream_and_game(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, to = files(tiny_run.folder), tmp_path / "guards"
    arguments = ["--run", tiny_run.folder, "--to", to, "--seeds", 1, 2, *BUDGET]
    assert call(monkeypatch, *arguments) == 0
    assert files(tiny_run.folder) == before
    written = json.loads((to / "guards.json").read_text())
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][2:]
    assert [row[0].strip("| ") for row in rows] == [
        "none", "tau-1.15", "tau-1.3", "dropout", "member", "other", "penalty", "any-start", "weighed",
        "open-loop", "random policy",
    ]  # fmt: skip
    assert len(written["results"]) == 20
    for result in written["results"]:
        returns = result["returns"]
        assert [len(returns[world][mean]) for world in returns for mean in returns[world]] == [5, 5, 5, 5, 4, 4]
    plain = [result["returns"] for result in written["results"] if result["guard"] == "none"]
    assert all(one["own"] == one["plain"] for one in plain)
    expected = np.mean([np.mean(one["real"]["last"]) for one in plain])
    assert rows[0][4].startswith(f"{expected:.1f} ± ")
    once = files(to / "scores")
    assert call(monkeypatch, *arguments) == 0
    assert files(to / "scores") == once


def test_the_last_mean_is_the_one_that_the_last_generation_was_validated_with(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A score on the episodes of a validation is that validation."""
    monkeypatch.setattr("worldmodels.seeds.UNSEEN", range(1_000_005, 1_000_010))
    monkeypatch.setattr("worldmodels.evolution.train.validation_seeds", lambda count: list(range(1_000_005, 1_000_009)))
    arguments = ["--run", tiny_run.folder, "--to", tmp_path / "to", *BUDGET, "--guards", "none"]
    assert call(monkeypatch, *arguments) == 0
    (result,) = json.loads((tmp_path / "to" / "guards.json").read_text())["results"]
    history = read_history(tmp_path / "to" / "plain" / "controllers" / "none-1")
    assert result["returns"]["real"]["last"] == pytest.approx(history[-1].validation)
    kept = history[result["kept_generation"]].validation
    assert result["returns"]["real"]["kept"] == pytest.approx(kept)


def test_without_a_run_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--run", tmp_path / "none", "--to", tmp_path / "to") == 2
    assert "There is no run" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()
