from typing import Any

import numpy as np
import pytest
from evolving import evolve
from scipy import stats

from worldmodels.evolution.fitness import Fitness
from worldmodels.evolution.history import read_history
from worldmodels.evolution.reliability import WINDOW, is_luck, reliability
from worldmodels.play import Outcomes
from worldmodels.runs import Run


def test_reliability_is_cronbachs_alpha() -> None:
    returns = np.random.default_rng(1).normal(size=(20, 6)) + np.arange(20)[:, None] / 10
    covariance = np.cov(returns.T)
    assert reliability(returns) == pytest.approx(6 / 5 * (1 - np.trace(covariance) / covariance.sum()))


def test_reliability_is_the_correlation_with_as_many_other_episodes() -> None:
    random = np.random.default_rng(2)
    skill, hardness = random.normal(size=(20_000, 1)), random.normal(0, 9, (1, 8))
    returns = skill + hardness + random.normal(0, 2, (20_000, 8))
    means = returns[:, :4].mean(1), returns[:, 4:].mean(1)
    assert reliability(returns[:, :4]) == pytest.approx(0.5, abs=0.02)
    assert np.corrcoef(*means)[0, 1] == pytest.approx(0.5, abs=0.02)


def test_reliability_of_luck_follows_the_f_distribution() -> None:
    random = np.random.default_rng(3)
    values = [reliability(random.normal(size=(12, 5))) for _ in range(1000)]
    statistics = [1 / (1 - value) for value in values if value is not None]
    assert stats.kstest(statistics, stats.f(11, 44).cdf).pvalue > 0.01


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_one_of_a_kind_cannot_be_compared(shape: tuple[int, int]) -> None:
    assert reliability(np.random.default_rng(4).normal(size=shape)) is None


def test_candidates_who_differ_by_nothing_have_no_reliability() -> None:
    assert reliability(np.tile([1.0, 2.0, 3.0], (4, 1))) is None


def test_luck_is_told_from_skill() -> None:
    random = np.random.default_rng(5)

    def share_called_luck(skill: float) -> float:
        generations = [
            [reliability(skill * random.normal(size=(64, 1)) + random.normal(size=(64, 16))) for _ in range(WINDOW)]
            for _ in range(200)
        ]
        return float(np.mean([is_luck(values, 64, 16) for values in generations]))

    assert share_called_luck(0) > 0.75
    assert share_called_luck(0.25) < 0.02  # as much as the luck that 16 episodes leave in a mean


def test_few_generations_say_nothing() -> None:
    assert not is_luck([-0.1] * (WINDOW - 1), 64, 16)
    assert not is_luck([None] * WINDOW, 64, 1)
    assert is_luck([0.9, *[-0.1] * WINDOW], 64, 16)


@pytest.mark.parametrize("skilled", [False, True])
def test_evolution_says_when_candidates_differ_by_luck(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], skilled: bool
) -> None:
    random = np.random.default_rng(6)

    def played(self: Fitness, candidates: np.ndarray, seeds: np.ndarray, *rest: Any) -> Outcomes:
        shape = len(candidates), len(seeds)
        returns = random.normal(size=shape) + (100 * candidates[:, :1] if skilled else 0)
        return Outcomes(returns, np.ones(shape, np.int64), np.zeros(shape, bool))

    monkeypatch.setattr(Fitness, "evaluate", played)
    evolve(copy, "noisy", generations=WINDOW, population=64, rollouts=4)
    said = f"in the last {WINDOW} generations candidates differed by little more than luck (reliability "
    assert (said in capsys.readouterr().err) is not skilled
    values = [entry.reliability for entry in read_history(copy.controller("noisy").folder)]
    assert all(value is not None and (value > 0.9) == skilled for value in values)
