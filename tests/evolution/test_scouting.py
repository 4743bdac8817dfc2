import numpy as np
import pytest
from numpy.typing import NDArray

from worldmodels.config import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.scouting import check_scouts, with_hard_seeds
from worldmodels.play import Outcomes


@pytest.mark.parametrize(("count", "mixed"), [(1, [50]), (2, [50, 14]), (5, [50, 14, 52, 12, 54])])
def test_every_other_seed_is_one_on_which_the_mean_does_worst(count: int, mixed: list[int]) -> None:
    def play(candidates: NDArray[np.float32], seeds: NDArray[np.int64]) -> Outcomes:
        assert candidates.shape == (1, 3)
        returns = np.array([[9.0, 4, 1, 4, -2, 8]])
        assert seeds.tolist() == [10, 11, 12, 13, 14, 15]
        return Outcomes(returns, np.full(returns.shape, 7), np.zeros(returns.shape, bool))

    seeds = np.arange(50, 50 + count)
    found, earned, steps = with_hard_seeds(play, np.zeros(3, np.float32), seeds, np.arange(10, 16))
    assert found.tolist() == mixed
    assert earned.tolist() == [9, 4, 1, 4, -2, 8]
    assert steps == 6 * 7
    assert seeds.tolist() == list(range(50, 50 + count))


@pytest.mark.parametrize(
    ("rollouts", "schedule", "scouts"),
    [(8, (), ((0, 3),)), (2, ((4, 9),), ((0, 8), (2, 3))), (1, (), ((0, 5),))],
)
def test_scouts_that_find_too_little_or_find_it_for_nobody_are_refused(
    rollouts: int, schedule: tuple[tuple[int, int], ...], scouts: tuple[tuple[int, int], ...]
) -> None:
    with pytest.raises(UserError, match=r"controllers\.real\.scouts: half of a candidate's"):
        check_scouts("real", ControllerConfig(rollouts=rollouts, rollouts_schedule=schedule, scouts=scouts))


@pytest.mark.parametrize("scouts", [(), ((0, 4),), ((0, 0), (2, 4))])
def test_scouts_that_find_enough_are_welcome(scouts: tuple[tuple[int, int], ...]) -> None:
    check_scouts("real", ControllerConfig(rollouts=8, scouts=scouts))
