"""Validations that play another number of episodes than those before."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import episode_length
from evolving import evolve

from worldmodels.agent import agent_of_run, load_parameters
from worldmodels.errors import UserError
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.history import Generation, read_history
from worldmodels.export import export_agent
from worldmodels.kept import CONTROLLER
from worldmodels.metrics import read_metrics
from worldmodels.play import Cuts, Outcomes
from worldmodels.runs import Run
from worldmodels.seeds import VALIDATION, validation_seeds
from worldmodels.stage import Stage
from worldmodels.tensors import save_tensors

FEW, MANY = 3, 8
"""Validation episodes; the later ones are longer and pay more, so that scores of both cannot be compared."""
OPTIONS = {"validate_every": 1, "sigma0": 2.0}


def test_more_validation_episodes_pay_more() -> None:
    lengths = [episode_length(seed) for seed in VALIDATION[:MANY]]
    assert lengths == sorted(lengths)


def begun(copy: Run, name: str, episodes: int) -> Stage:
    return evolve(copy, name, generations=3, validation_episodes=episodes, **OPTIONS).controller(name)


def gone_on(copy: Run, name: str, episodes: int) -> Run:
    return evolve(copy, name, generations=6, validation_episodes=episodes, **OPTIONS)


def timeless(stage: Stage) -> list[Generation]:
    return [dataclasses.replace(entry, seconds=0) for entry in read_history(stage.folder)]


@pytest.mark.parametrize(("before", "after"), [(FEW, MANY), (MANY, FEW)])
def test_what_was_kept_plays_the_episodes_of_those_that_it_is_compared_with(
    copy: Run, before: int, after: int, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = begun(copy, "new", before)
    kept, first = load_parameters(stage.folder / CONTROLLER), stage.summary()["best_generation"]
    run = gone_on(copy, "new", after)
    history, summary = read_history(stage.folder), stage.summary()
    assert [len(entry.kept or ()) for entry in history] == [0, 0, 0, after, 0, 0]
    agent = agent_of_run(run, "new")
    with Fitness(Worlds(agent, run.config.compute, 1.0)) as fitness:
        seeds = np.array(validation_seeds(after))
        again, shipped = fitness.evaluate(np.stack([kept, agent.parameters]), seeds, "real").returns
    assert history[3].kept == pytest.approx(again)
    scores = {first: again.mean()} | {number: np.mean(history[number].validation or ()) for number in (3, 4, 5)}
    assert summary["best_generation"] == max(scores, key=lambda number: scores[number])
    assert summary["validation"] == pytest.approx(max(scores.values())) == pytest.approx(shipped.mean())
    assert f"what was kept so far {again.mean():.1f} on these {after} episodes" in capsys.readouterr().err
    (logged,) = (entry for entry in read_metrics(stage.folder) if "validation_kept" in entry)
    assert (logged["step"], logged["validation_kept"]) == (4, pytest.approx(again.mean()))


def test_an_average_that_was_kept_plays_again(copy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The average is made to win, and to lose afterwards to the mean."""
    played: list[np.ndarray] = []

    def judged(self: Fitness, candidates: np.ndarray, seeds: np.ndarray, world: str, *cuts: Cuts) -> Outcomes:
        worth = np.arange(4.0)
        if world == "real" and seeds[0] == VALIDATION[0]:
            worth = np.array([1.0, 5.0] if len(seeds) == FEW else [3.0, 1.0, 2.0])
            played.append(candidates)
        returns = np.repeat(worth[: len(candidates), None], len(seeds), 1)
        return Outcomes(returns, np.ones(returns.shape, np.int64), np.zeros(returns.shape, bool))

    monkeypatch.setattr(Fitness, "evaluate", judged)
    for generations, episodes in ((3, FEW), (4, MANY)):
        run = evolve(copy, "smooth", average=2, generations=generations, validation_episodes=episodes, **OPTIONS)
    stage = run.controller("smooth")
    assert [len(candidates) for candidates in played] == [2, 2, 2, 3]
    assert np.array_equal(played[3][2], played[0][1])
    assert np.array_equal(load_parameters(stage.folder / CONTROLLER), played[3][0])
    assert (stage.summary()["validation"], stage.summary()["best_generation"]) == (3, 3)


@pytest.mark.parametrize("left", [3, 4, 5, 6])
def test_an_evolution_killed_after_its_episodes_were_changed_ends_as_if_it_had_not_been(copy: Run, left: int) -> None:
    stage = begun(copy, "new", FEW)
    gone_on(copy, "new", MANY)
    history, kept, done = timeless(stage), *((stage.folder / name).read_bytes() for name in (CONTROLLER, "done.json"))
    (stage.folder / "done.json").unlink()
    # a generation whose mean was saved, and which was not recorded any more
    (stage.folder / CONTROLLER).write_bytes((copy.controller("real").folder / CONTROLLER).read_bytes())
    lines = (stage.folder / "history.jsonl").read_text().splitlines(keepends=True)
    (stage.folder / "history.jsonl").write_text("".join(lines[:left]))
    gone_on(copy, "new", MANY)
    assert timeless(stage) == history
    assert (stage.folder / CONTROLLER).read_bytes() == kept
    assert (stage.folder / "done.json").read_bytes() == done


@pytest.mark.parametrize("good", [True, False])
def test_what_evolution_began_at_is_kept_until_something_does_better(
    copy: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], good: bool
) -> None:
    """In the counting game the best is always to act 1, and the worst -1."""
    export_agent(copy, "real", tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / CONTROLLER
    first = np.zeros_like(load_parameters(path))
    first[-1] = 100 if good else -100  # the constant term, which overrules all others
    save_tensors(path, {"parameters": torch.from_numpy(first)})
    config = dataclasses.replace(copy.config, previous=str(tmp_path / "checkpoint"))
    run = evolve(Run(copy.folder, config), "new", generations=2, validation_episodes=FEW, validate_every=1, sigma0=90.0)
    stage, (opening, second) = run.controller("new"), read_history(run.controller("new").folder)
    assert len(opening.kept or ()) == FEW
    assert second.kept is None
    assert f"what was kept so far {np.mean(opening.kept or ()):.1f}" in capsys.readouterr().err
    assert np.array_equal(load_parameters(stage.folder / CONTROLLER), first) == good
    assert (stage.summary()["best_generation"] is None) == good
    assert (stage.summary()["validation"] == np.mean(opening.kept or ())) == good


def test_the_last_mean_is_kept_if_asked_for(copy: Run) -> None:
    options = {"validate_every": 1, "sigma0": 9.0}
    evolve(copy, "last", generations=2, keep="last", **options)
    evolve(copy, "more", generations=3, keep="last", **options)
    scores = [entry.score for entry in read_history(copy.controller("more").folder)]
    short, long = (copy.controller(name) for name in ("last", "more"))
    assert [stage.summary()["best_generation"] for stage in (short, long)] == [1, 2]
    assert [stage.summary()["validation"] for stage in (short, long)] == scores[1:]
    assert scores[2] <= scores[1]  # or the best would have been kept too
    evolve(copy, "last", generations=3, keep="last", **options)
    assert (short.folder / CONTROLLER).read_bytes() == (long.folder / CONTROLLER).read_bytes()


def test_nothing_is_stale_where_the_last_is_kept(copy: Run) -> None:
    with pytest.raises(UserError, match=r"controllers\.last\.keep: .* leave one of them out"):
        evolve(copy, "last", keep="last", validation_patience=2)
    assert not copy.controller("last").started
