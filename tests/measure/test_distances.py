import itertools

import numpy as np
import pytest

from worldmodels.measure.distances import kernel_distance, precision_recall


def normal(count: int, dim: int = 8, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, dim))


def test_it_is_the_estimator_of_its_definition() -> None:
    x, y = normal(5, 3), normal(4, 3, seed=1)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (a @ b / 3 + 1) ** 3

    xx = np.mean([kernel(a, b) for a, b in itertools.permutations(x, 2)])
    yy = np.mean([kernel(a, b) for a, b in itertools.permutations(y, 2)])
    xy = np.mean([kernel(a, b) for a, b in itertools.product(x, y)])
    assert kernel_distance(x, y) == pytest.approx(xx + yy - 2 * xy)


def test_two_samples_of_one_distribution_have_distance_0_on_average() -> None:
    values = np.array([kernel_distance(normal(60, seed=2 * i), normal(40, seed=2 * i + 1)) for i in range(400)])
    assert (values < 0).any()
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    biased = 2 * (1 + 8 / 8) ** 3 / 50  # about what the diagonal would add
    assert abs(values.mean()) < 0.1 * biased


def test_a_shift_of_the_mean_grows_it() -> None:
    real = normal(500)
    values = [kernel_distance(real, normal(500, seed=1, shift=shift)) for shift in (0, 0.3, 0.6, 1.2)]
    assert values == sorted(values)
    assert values[1] > 5 * abs(values[0])


def test_a_set_is_within_its_own_manifold() -> None:
    points = normal(200)
    assert precision_recall(points, points, 3) == (1, 1)


def test_sets_far_apart_share_nothing() -> None:
    assert precision_recall(normal(200), normal(200, shift=100), 3) == (0, 0)


def test_dropped_modes_cost_recall_and_strays_cost_precision() -> None:
    one, other, stray = normal(100, 2), normal(100, 2, seed=1, shift=50), normal(100, 2, seed=2, shift=-50)
    both, again = np.concatenate([one, other]), normal(200, 2, seed=3)
    precision, recall = precision_recall(both, again, 3)
    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.05)
    precision, recall = precision_recall(one, np.concatenate([normal(100, 2, seed=4), stray]), 3)
    assert precision == pytest.approx(0.5, abs=0.05)
    assert recall > 0.9


def test_balls_reach_the_kth_neighbour() -> None:
    real = np.array([[0.0], [1.0], [3.0], [6.0]])  # distances to the second neighbour: 3, 2, 3, 5
    fake = np.array([[-3.0], [-3.1], [11.0], [11.1]])
    assert precision_recall(real, fake, 2).precision == 0.5


def test_samples_of_one_distribution_are_mostly_within() -> None:
    precision, recall = precision_recall(normal(1000, 2), normal(1000, 2, seed=1), 3)
    assert min(precision, recall) > 0.9
