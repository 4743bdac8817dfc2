import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from worldmodels import evaluate as evaluation
from worldmodels.config import Config, EvaluateConfig
from worldmodels.errors import UserError
from worldmodels.evaluate import RANDOM, evaluate, interquartile_mean, statistics
from worldmodels.export import export_agent
from worldmodels.runs import Run
from worldmodels.seeds import test_seeds as reserved_seeds


@pytest.fixture
def run(tiny_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    options = EvaluateConfig(episodes=5, temperatures=(0.5, 1.0))
    return Run(tmp_path / "run", dataclasses.replace(tiny_run.config, evaluate=options))


def rows_of(run: Run) -> list[dict]:
    return json.loads((run.evaluation.folder / "scores.json").read_text())["rows"]


def test_every_agent_is_scored_in_every_world(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(run)
    rows = rows_of(run)
    scored = [(row["agent"], row["world"], row["temperature"]) for row in rows]
    worlds = [("real", None), ("dream", 0.5), ("dream", 1.0)]
    assert scored == [(name, *world) for name in ("real", "dream") for world in worlds] + [(RANDOM, "real", None)]
    assert "Scores on 5 test episodes" in capsys.readouterr().out


def test_the_table_is_that_of_the_episodes(run: Run) -> None:
    evaluate(run)
    with (run.evaluation.folder / "episodes.csv").open() as file:
        episodes = [e for e in csv.DictReader(file) if (e["agent"], e["world"]) == ("real", "real")]
    assert [int(e["seed"]) for e in episodes] == reserved_seeds(5)
    row, returns = rows_of(run)[0], np.array([float(e["return"]) for e in episodes])
    assert (row["mean"], row["std"]) == pytest.approx((returns.mean(), returns.std(ddof=1)))
    assert row["length"] == np.mean([int(e["steps"]) for e in episodes])
    assert row["success_rate"] == np.mean([e["success"] == "True" for e in episodes])


def test_what_was_played_is_not_played_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(run)
    before = rows_of(run)
    monkeypatch.setattr(evaluation, "Fitness", None)
    evaluate(run)
    assert rows_of(run) == before


def test_a_checkpoint_scores_like_the_agent_that_it_was_made_of(run: Run, tmp_path: Path) -> None:
    export_agent(run, "real", tmp_path / "mine")
    evaluate(run)
    wanted = {(row["world"], row["temperature"]): row["mean"] for row in rows_of(run) if row["agent"] == "real"}
    other = Run(tmp_path / "scores", run.config)
    evaluate(other, checkpoint=tmp_path / "mine")
    assert {(r["world"], r["temperature"]): r["mean"] for r in rows_of(other) if r["agent"] == "mine"} == wanted


def test_a_checkpoint_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="mine exists"):
        export_agent(run, "real", tmp_path / "mine")
    assert not list((tmp_path / "mine").iterdir())


def test_a_run_without_controllers_cannot_be_scored(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished controller.*train_controller"):
        evaluate(Run(tmp_path / "run", Config()))


def test_statistics_against_their_definitions() -> None:
    returns = np.random.default_rng(0).normal(100, 20, 400)
    found = statistics(returns)
    assert found["sem"] == pytest.approx(returns.std(ddof=1) / 20)
    low, high = found["interval"]
    assert (low, high) == pytest.approx((returns.mean() - 1.96, returns.mean() + 1.96), abs=0.25)


def test_one_episode_has_no_spread() -> None:
    assert statistics(np.array([3.0]))["interval"] == (3.0, 3.0)


@pytest.mark.parametrize(
    ("values", "mean"), [([1, 2, 3, 4], 2.5), ([9, 1, 5], (0.25 * 1 + 5 + 0.25 * 9) / 1.5), ([7], 7)]
)
def test_interquartile_mean(values: list[float], mean: float) -> None:
    assert interquartile_mean(np.array(values, float)) == pytest.approx(mean)
