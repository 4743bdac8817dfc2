"""Evolution with other optimisers, more episodes late, and averaged means."""

import itertools
from typing import Any

import numpy as np
import pytest
from evolving import evolve

from worldmodels.agent import load_parameters
from worldmodels.errors import UserError
from worldmodels.evolution.fitness import Fitness
from worldmodels.evolution.history import read_history
from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.kept import CONTROLLER
from worldmodels.play import Cuts, Outcomes
from worldmodels.runs import Run
from worldmodels.tensors import load_tensors


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_evolution_resumes_by_replay_with_every_optimizer(copy: Run, optimizer: str) -> None:
    evolve(copy, "straight", optimizer=optimizer, generations=4)
    for generations in (2, 4):
        evolve(copy, "resumed", optimizer=optimizer, generations=generations)
    straight, resumed = (load_parameters(copy.controller(name).folder / CONTROLLER) for name in ("straight", "resumed"))
    assert np.array_equal(straight, resumed)
    histories = [read_history(copy.controller(name).folder) for name in ("straight", "resumed")]
    assert [entry.samples for entry in histories[0]] == [entry.samples for entry in histories[1]]


def test_an_odd_population_is_refused_and_leaves_nothing(copy: Run) -> None:
    with pytest.raises(UserError, match="has to be even"):
        evolve(copy, "odd", optimizer="openes", population=5)
    assert not copy.controller("odd").started
    evolve(copy, "odd", optimizer="openes", population=6, generations=2)


def test_generations_without_a_difference_are_named_with_the_likely_cause(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    def same(self: Fitness, candidates: np.ndarray, seeds: np.ndarray, *rest: Any) -> Outcomes:
        shape = len(candidates), len(seeds)
        return Outcomes(np.ones(shape), np.ones(shape, np.int64), np.zeros(shape, bool))

    monkeypatch.setattr(Fitness, "evaluate", same)
    evolve(copy, "flat", generations=2, validate_every=2)
    said = capsys.readouterr().err
    assert "all 4 candidates of generation 0 did equally well" in said
    assert "likely because none of them came to any reward" in said


def test_later_generations_play_more_episodes(copy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[int] = []
    original = Fitness.evaluate

    def watched(self: Fitness, candidates: np.ndarray, seeds: np.ndarray, *rest: Any) -> Outcomes:
        if len(candidates) > 1:
            played.append(len(seeds))
        return original(self, candidates, seeds, *rest)

    monkeypatch.setattr(Fitness, "evaluate", watched)
    run = evolve(copy, "more", rollouts_schedule=((1, 3), (3, 5)))
    assert played == [2, 3, 3, 5]
    assert [entry.rollouts for entry in read_history(run.controller("more").folder)] == played


def test_the_schedule_of_coming_generations_may_be_changed_but_not_of_played_ones(copy: Run) -> None:
    evolve(copy, "later", generations=2)
    run = evolve(copy, "later", generations=4, rollouts_schedule=((2, 3),))
    evolve(copy, "at-once", generations=4, rollouts_schedule=((2, 3),))
    histories = [read_history(run.controller(name).folder) for name in ("later", "at-once")]
    assert [entry.fitness for entry in histories[0]] == [entry.fitness for entry in histories[1]]
    done = (run.controller("later").folder / "done.json").read_bytes()
    with pytest.raises(UserError, match=r"Generation 2 in .* played 3 episodes a candidate, .* now says 2"):
        evolve(run, "later", generations=5, rollouts_schedule=())
    assert (run.controller("later").folder / "done.json").read_bytes() == done


def test_a_schedule_that_does_not_ascend_is_refused(copy: Run) -> None:
    with pytest.raises(UserError, match=r"has to name ascending generations, but it names \[3, 3\]"):
        evolve(copy, "unsteady", rollouts_schedule=((3, 8), (3, 9)))
    assert not copy.controller("unsteady").started


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_scheduled_step_size_begins_with_its_generation(copy: Run, optimizer: str) -> None:
    options: dict[str, Any] = {"optimizer": optimizer, "generations": 3}
    plain = read_history(evolve(copy, "plain", **options).controller("plain").folder)
    finer = read_history(evolve(copy, "finer", **options, sigma_schedule=((2, 1e-6),)).controller("finer").folder)
    assert [entry.samples == other.samples for entry, other in zip(plain, finer, strict=True)] == [True, True, False]
    assert finer[2].sigma == pytest.approx(1e-6, rel=0.5)


def test_a_step_size_may_be_scheduled_for_coming_generations_but_not_for_those_that_are_over(copy: Run) -> None:
    evolve(copy, "later", generations=2)
    run = evolve(copy, "later", generations=4, sigma_schedule=((2, 0.01),))
    evolve(copy, "at-once", generations=4, sigma_schedule=((2, 0.01),))
    histories = [read_history(run.controller(name).folder) for name in ("later", "at-once")]
    assert [entry.samples for entry in histories[0]] == [entry.samples for entry in histories[1]]
    done = (run.controller("later").folder / "done.json").read_bytes()
    with pytest.raises(UserError, match=r"generation 2 comes out otherwise .* another sigma_schedule"):
        evolve(run, "later", generations=5, sigma_schedule=((2, 0.02),))
    assert (run.controller("later").folder / "done.json").read_bytes() == done


def test_the_average_of_the_last_means_is_validated_beside_the_mean_and_the_better_is_kept(copy: Run) -> None:
    run = evolve(copy, "smooth", average=3, generations=12, validate_every=1, sigma0=2.0)
    stage, plain = run.controller("smooth"), evolve(copy, "plain", generations=12, validate_every=1, sigma0=2.0)
    history = read_history(stage.folder)
    without = read_history(plain.controller("plain").folder)
    assert [entry.validation for entry in history] == [entry.validation for entry in without]
    assert not any(entry.averaged for entry in without)
    scores = np.array([[np.mean(entry.validation or ()), np.mean(entry.averaged or ())] for entry in history])
    assert scores[0, 0] == scores[0, 1]  # the average of one
    best, kind = np.unravel_index(scores.argmax(), scores.shape)
    assert stage.summary()["validation"] == pytest.approx(scores.max())
    assert stage.summary()["best_generation"] == best
    _, metadata = load_tensors(stage.folder / CONTROLLER)
    assert metadata == {"generation": best + 1} | ({"averaged": min(3, best + 1)} if kind else {})


def test_the_kept_average_is_that_of_the_means(copy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The average is made to win: it is worth more than a mean."""
    proposed: list[np.ndarray] = []

    def judged(self: Fitness, candidates: np.ndarray, seeds: np.ndarray, world: str, *cuts: Cuts) -> Outcomes:
        if len(candidates) == 2:
            proposed.append(candidates)
        returns = np.repeat(np.arange(len(candidates), dtype=float)[:, None], len(seeds), 1)
        return Outcomes(returns, np.ones(returns.shape, np.int64), np.zeros(returns.shape, bool))

    monkeypatch.setattr(Fitness, "evaluate", judged)
    for generations in (3, 5):  # the second call replays the first ones' means
        evolve(copy, "smooth", average=2, generations=generations, validate_every=1)
    means = [pair[0] for pair in proposed]
    assert np.array_equal([pair[1] for pair in proposed[1:]], [(a + b) / 2 for a, b in itertools.pairwise(means)])
    kept = load_parameters(copy.controller("smooth").folder / CONTROLLER)
    assert np.array_equal(kept, proposed[0][1])  # the first of equals
