import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodels import evaluate as evaluation
from worldmodels.agent import load_agent
from worldmodels.config import Config, EvaluateConfig
from worldmodels.errors import UserError
from worldmodels.evaluate import RANDOM, evaluate
from worldmodels.export import export_agent
from worldmodels.iterations import next_run
from worldmodels.kept import CONTROLLER
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


def perturbed(run: Run, *perturbations: str) -> Run:
    options = dataclasses.replace(run.config.evaluate, perturbations=perturbations, worlds=("real",))
    return Run(run.folder, dataclasses.replace(run.config, evaluate=options))


def test_perturbations_are_rows_of_the_same_table(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(run)
    before = {row["agent"]: row for row in rows_of(run) if row["world"] == "real"}
    played = {path.name for path in (run.evaluation.folder / "played").iterdir()}
    disturbed = perturbed(run, "action_noise:0.5", "dropped_frames", "bars")
    evaluate(disturbed)
    rows = rows_of(disturbed)
    kinds = ["", "action noise 0.5", "dropped frames 0.2", "bars 0.075"]
    worlds = [("real" if kind == "" else "disturbed", kind) for kind in kinds]
    assert [(row["agent"], row["world"], row["perturbation"]) for row in rows] == [
        *((name, *world) for name in ("real", "dream") for world in worlds),
        (RANDOM, "real", ""),
    ]
    assert [row for row in rows if not row["perturbation"]] == [before["real"], before["dream"], before[RANDOM]]
    assert played < {path.name for path in (run.evaluation.folder / "played").iterdir()}
    scores = {row["perturbation"]: row["mean"] for row in rows if row["agent"] == "real"}
    assert len(set(scores.values())) == 4
    assert "action noise 0.5" in capsys.readouterr().out
    with (run.evaluation.folder / "episodes.csv").open() as file:
        kinds_played = [row["perturbation"] for row in csv.DictReader(file) if row["agent"] == "real"]
    assert kinds_played == [kind for kind in kinds for _ in range(5)]


def test_perturbed_scores_do_not_depend_on_lanes(run: Run, tmp_path: Path) -> None:
    scores = []
    for lanes in (1, 4):
        other = perturbed(run, "action_noise", "dropped_frames:0.5", "blob", "colour")
        shutil.rmtree(run.evaluation.folder, ignore_errors=True)
        compute = dataclasses.replace(run.config.compute, lanes=lanes)
        evaluate(Run(run.folder, dataclasses.replace(other.config, compute=compute)))
        scores.append([row["mean"] for row in rows_of(run)])
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.parametrize(("name", "why"), [("blub", "no perturbation `blub`"), ("domain_randomize", "cannot be made")])
def test_a_perturbation_that_is_not_to_be_had_is_refused_before_anything_is_played(
    run: Run, name: str, why: str
) -> None:
    with pytest.raises(UserError, match=why):
        evaluate(perturbed(run, "bars", name))
    assert not run.evaluation.folder.exists()


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


def test_another_game_of_the_scores_is_played_and_another_rate_of_films_is_not(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(run)
    before = rows_of(run)

    def shown(**options: object) -> Run:
        return Run(run.folder, dataclasses.replace(run.config, task=dataclasses.replace(run.config.task, **options)))

    monkeypatch.setattr(evaluation, "Fitness", None)
    evaluate(shown(fps=9.0))
    assert rows_of(run) == before
    with pytest.raises(TypeError):
        evaluate(shown(score_env="counting:Counting-v0"))


def test_a_checkpoint_scores_like_the_agent_that_it_was_made_of(run: Run, tmp_path: Path) -> None:
    export_agent(run, "real", tmp_path / "mine", half=False)
    evaluate(run)
    wanted = {(row["world"], row["temperature"]): row["mean"] for row in rows_of(run) if row["agent"] == "real"}
    other = Run(tmp_path / "scores", run.config)
    evaluate(other, checkpoint=tmp_path / "mine")
    assert {(r["world"], r["temperature"]): r["mean"] for r in rows_of(other) if r["agent"] == "mine"} == wanted


def test_half_a_checkpoint_is_rounded_and_has_a_card(run: Run, tmp_path: Path) -> None:
    evaluate(run)
    for half in (False, True):
        export_agent(run, "real", tmp_path / f"{half}", half)
    whole, rounded = load_agent(tmp_path / "False"), load_agent(tmp_path / "True")
    for one, other in zip(whole.vision.parameters(), rounded.vision.parameters(), strict=True):
        assert torch.equal(one.half().float(), other)
    assert np.array_equal(whole.parameters, rounded.parameters)
    names = ("vision.safetensors", "memory.safetensors")
    sizes = [sum((tmp_path / f"{half}" / name).stat().st_size for name in names) for half in (False, True)]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.2)
    card = (tmp_path / "True" / "README.md").read_text()
    scored = next(row for row in rows_of(run) if row["agent"] == "real" and row["world"] == "real")
    assert f"{scored['mean']:.1f} ± {scored['std']:.1f}" in card
    assert f"--checkpoint {tmp_path / 'True'}" in card


def test_scores_of_an_agent_that_has_changed_since_are_shown_nowhere(run: Run) -> None:
    evaluate(run)
    assert {row.agent for row in evaluation.read_scores(run)} == {"real", "dream", RANDOM}
    shutil.copyfile(run.controller("real").folder / CONTROLLER, run.controller("dream").folder / CONTROLLER)
    assert {row.agent for row in evaluation.read_scores(run)} == {"real", RANDOM}
    run.controller("real").reopen()
    assert {row.agent for row in evaluation.read_scores(run)} == {RANDOM}


def test_a_checkpoint_is_not_scored_in_the_folder_of_a_run_with_agents(run: Run, tmp_path: Path) -> None:
    export_agent(run, "real", tmp_path / "mine")
    with pytest.raises(UserError, match="has scores of its own agents: leave out --run"):
        evaluate(run, checkpoint=tmp_path / "mine")


def test_worlds_that_leave_nothing_to_score_are_said_to(run: Run) -> None:
    options = dataclasses.replace(run.config.evaluate, worlds=(), random_policy=False)
    with pytest.raises(UserError, match=r"evaluate\.worlds names no world"):
        evaluate(Run(run.folder, dataclasses.replace(run.config, evaluate=options)))


def test_a_card_names_the_options_that_make_such_an_agent_again(run: Run, tmp_path: Path) -> None:
    one = Run(run.folder, dataclasses.replace(run.config, iterations=2))
    one.record()
    later = next_run(one, "real", run.folder / "iterations" / "2")
    shutil.copytree(run.folder, later.folder, ignore=shutil.ignore_patterns("iterations", "latents"))
    for iterations, foreign in ((2, False), (1, True)):
        Run(run.folder, dataclasses.replace(run.config, iterations=iterations)).record()
        export_agent(later, "real", tmp_path / str(iterations))
        card = (tmp_path / str(iterations) / "README.md").read_text()
        assert (r"run\_pipeline.py" in card, f"previous: {run.folder}" in card) == (not foreign, foreign)


def test_a_card_tells_of_all_iterations_and_what_is_remarked(run: Run, tmp_path: Path) -> None:
    later = next_run(run, "real", run.folder / "iterations" / "2")
    shutil.copytree(run.folder, later.folder, ignore=shutil.ignore_patterns("iterations", "latents"))
    export_agent(later, "real", tmp_path / "mine", note="Played on two machines.")
    card = (tmp_path / "mine" / "README.md").read_text()
    assert card.index("Iteration 1 of 2") < card.index("Iteration 2 of 2") < card.index("Played on two machines")
    assert card.count("| rollouts | finished |") == 2
    assert (card.count("| latents |"), card.count("| C (real) |")) == (1, 2)
    assert "not begun" not in card


def test_a_checkpoint_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="mine exists"):
        export_agent(run, "real", tmp_path / "mine")
    assert not list((tmp_path / "mine").iterdir())


def test_a_run_without_controllers_cannot_be_scored(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished controller.*train_controller"):
        evaluate(Run(tmp_path / "run", Config()))
