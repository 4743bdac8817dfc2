import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from worldmodels.config import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.race import Raced, check_heat, race
from worldmodels.play import Outcomes


class Table:
    """Candidates are numbers of rows, seeds are numbers of columns of a table of returns; an episode takes one step."""

    def __init__(self, returns: NDArray[np.float64]) -> None:
        self.returns = returns
        self.played: list[tuple[list[int], list[int]]] = []

    def __call__(self, candidates: NDArray[np.float32], seeds: NDArray[np.int64]) -> Outcomes:
        rows = candidates[:, 0].astype(int)
        self.played.append((rows.tolist(), seeds.tolist()))
        returns = self.returns[np.ix_(rows, seeds)]
        return Outcomes(returns, np.ones(returns.shape, np.int64), np.zeros(returns.shape, bool))

    def race(self, heat: int) -> Raced:
        count, seeds = self.returns.shape
        return race(self, np.arange(count, dtype=np.float32)[:, None], np.arange(seeds), heat)


def test_the_better_half_plays_on() -> None:
    table = Table(np.array([[1.0, 5, 5], [4, 0, 2], [2, 9, 9], [3, 6, 0]]))
    fitness, steps, _ = table.race(heat=1)
    assert table.played == [([0, 1, 2, 3], [0]), ([1, 3], [1, 2])]
    assert steps == 4 + 2 * 2
    assert fitness.tolist() == [1.0, 2.0, 2.0, 3.0]


def test_luck_in_the_heat_ranks_nobody_before_those_who_played_all() -> None:
    fitness, _, _ = Table(np.array([[10.0, 0, 0], [9, 90, 90], [8, 90, 90], [11, 1, 0]])).race(heat=1)
    assert fitness.tolist() == pytest.approx([10 / 3, 9 - 17 / 3, 8 - 17 / 3, 4])


def test_without_a_heat_all_play_all() -> None:
    table = Table(np.random.default_rng(1).normal(size=(5, 3)))
    fitness, steps, _ = table.race(heat=0)
    assert table.played == [([0, 1, 2, 3, 4], [0, 1, 2])]
    assert (fitness == table.returns.mean(1)).all()
    assert steps == 15


@given(arrays(np.float64, st.tuples(st.integers(2, 9), st.integers(2, 6)), elements=st.floats(-1e6, 1e6)))
def test_ranks_are_those_of_the_heat_and_then_of_all_episodes(returns: NDArray[np.float64]) -> None:
    for heat in range(1, returns.shape[1]):
        table = Table(returns)
        fitness, steps, _ = table.race(heat)
        better = table.played[1][0]
        worse = np.setdiff1d(np.arange(len(returns)), better)
        assert len(better) == -(-len(returns) // 2)
        assert steps == len(returns) * heat + len(better) * (returns.shape[1] - heat)
        assert returns[worse, :heat].mean(1).max() <= returns[better, :heat].mean(1).min()
        assert fitness[better] == pytest.approx(returns[better].mean(1))
        assert fitness[worse].max() <= fitness[better].min() + 1e-6
        assert np.ptp(fitness[worse] - returns[worse, :heat].mean(1)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("schedule", [(), ((2, 8),), ((2, 8), (4, 3))])
def test_a_heat_of_all_the_episodes_is_refused(schedule: tuple[tuple[int, int], ...]) -> None:
    fewest = min([4, *(episodes for _, episodes in schedule)])
    check_heat("real", ControllerConfig(rollouts=4, rollouts_schedule=schedule, heat=fewest - 1))
    with pytest.raises(
        UserError, match=rf"controllers\.real\.heat: .* than the {fewest} episodes .* plays {fewest} in"
    ):
        check_heat("real", ControllerConfig(rollouts=4, rollouts_schedule=schedule, heat=fewest))
