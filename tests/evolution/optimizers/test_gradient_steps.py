"""Fitness shaping, Adam and ClipUp against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata

from worldmodels.evolution.optimizers.adam import Adam
from worldmodels.evolution.optimizers.clipup import ClipUp
from worldmodels.evolution.optimizers.openes import OpenES
from worldmodels.evolution.optimizers.pgpe import PGPE
from worldmodels.evolution.optimizers.shaping import centred_ranks

FITNESSES = hnp.arrays(float, st.integers(2, 12), elements=st.integers(-3, 3).map(float))


@given(FITNESSES)
def test_ranks_are_those_of_scipy_centred_and_scaled(fitness: np.ndarray) -> None:
    wanted = (rankdata(fitness) - 1) / (len(fitness) - 1) - 0.5
    assert centred_ranks(fitness) == pytest.approx(wanted)


@given(FITNESSES)
def test_ranks_sum_to_zero_and_keep_the_order(fitness: np.ndarray) -> None:
    ranks = centred_ranks(fitness)
    assert ranks.sum() == pytest.approx(0, abs=1e-12)
    assert np.array_equal(np.sign(np.subtract.outer(ranks, ranks)), np.sign(np.subtract.outer(fitness, fitness)))


def test_ranks_do_not_see_how_large_a_difference_is() -> None:
    assert np.array_equal(centred_ranks(np.array([1.0, 2, 3, 4])), centred_ranks(np.array([-1e9, 0, 1e-9, 1e9])))


def test_adam_steps_by_the_unbiased_moments_of_all_gradients() -> None:
    adam, gradients = Adam(5, rate=0.03), np.random.default_rng(1).standard_normal((20, 5))
    steps = [adam.step(gradient) for gradient in gradients]
    assert steps[0] == pytest.approx(0.03 * np.sign(gradients[0]))
    fading = [np.array([beta**age for age in range(19, -1, -1)]) for beta in (0.9, 0.999)]
    mean, square = (np.average(gradients**power, axis=0, weights=fading[power - 1]) for power in (1, 2))
    assert steps[-1] == pytest.approx(0.03 * mean / np.sqrt(square), abs=1e-8)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_clipup_speeds_up_whatever_the_gradients_size_and_stays_below_its_top_speed(size: float) -> None:
    clipup, gradient = ClipUp(2, max_speed=0.6), size * np.array([3.0, 4.0])
    steps = [clipup.step(gradient) for _ in range(6)]
    assert steps[0] == pytest.approx([0.18, 0.24])  # half the top speed, along the gradient
    assert [float(np.linalg.norm(step)) for step in steps] == pytest.approx([0.3, 0.57, 0.6, 0.6, 0.6, 0.6])


def test_clipup_coasts_to_a_halt_without_a_gradient() -> None:
    clipup = ClipUp(2, max_speed=0.6)
    assert not clipup.step(np.zeros(2)).any()
    first = clipup.step(np.array([0.0, 1.0]))
    assert clipup.step(np.zeros(2)) == pytest.approx(0.9 * first)


@pytest.mark.parametrize("kind", [OpenES, PGPE])
def test_equal_fitnesses_move_nothing(kind: type[OpenES] | type[PGPE]) -> None:
    optimizer = kind(5, 8, 0.1, seed=1)
    optimizer.ask()
    optimizer.tell(np.ones(8))
    assert not optimizer.mean.any()
    assert optimizer.sigma == pytest.approx(0.1)


def test_pgpe_widens_where_both_far_candidates_are_good_and_narrows_where_they_are_bad() -> None:
    optimizer = PGPE(2, 200, 0.1, seed=1)
    for _ in range(40):
        candidates = optimizer.ask()
        optimizer.tell(np.abs(candidates[:, 0]) - np.abs(candidates[:, 1]))
    wide, narrow = optimizer._sigma
    assert wide > 0.15
    assert narrow < 0.06
