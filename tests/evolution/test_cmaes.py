import numpy as np
import pytest

from worldmodels.evolution.cmaes import CMAES


def sphere(candidates: np.ndarray) -> np.ndarray:
    """Best at (1, 1, ...)."""
    return -np.square(candidates - 1).sum(1)


def evolved(generations: int, dimension: int = 6, seed: int = 1) -> CMAES:
    cmaes = CMAES(dimension, population=10, sigma0=0.1, seed=seed)
    for _ in range(generations):
        cmaes.tell(sphere(cmaes.ask()))
    return cmaes


def test_it_finds_the_top_of_a_sphere() -> None:
    mean = evolved(120).mean
    assert sphere(mean[None])[0] > -1e-4


def test_it_begins_at_zero_with_the_asked_step_size() -> None:
    cmaes = CMAES(50, population=400, sigma0=0.3, seed=1)
    assert not cmaes.mean.any()
    candidates = cmaes.ask()
    assert candidates.shape == (400, 50)
    assert candidates.dtype == np.float32
    assert candidates.std() == pytest.approx(0.3, rel=0.02)
    assert cmaes.sigma == 0.3


def test_replayed_fitnesses_lead_to_the_same_next_candidates() -> None:
    cmaes, told = CMAES(6, 10, 0.1, seed=1), []
    for _ in range(15):
        told.append(sphere(cmaes.ask()))
        cmaes.tell(told[-1])
    again = CMAES(6, 10, 0.1, seed=1)
    for fitness in told:
        again.ask()
        again.tell(np.array(fitness.tolist()))
    assert np.array_equal(again.ask(), cmaes.ask())
    assert again.generation == 15


def test_samples_do_not_depend_on_numpys_global_state() -> None:
    np.random.seed(1)  # noqa: NPY002  # the very thing
    one = evolved(3).ask()
    np.random.seed(2)  # noqa: NPY002
    assert np.array_equal(evolved(3).ask(), one)


def test_another_seed_asks_for_other_candidates() -> None:
    assert not np.array_equal(evolved(0, seed=1).ask(), evolved(0, seed=2).ask())


def test_equal_fitnesses_do_not_stop_it() -> None:
    cmaes = CMAES(4, 8, 0.1, seed=1)
    for _ in range(60):
        cmaes.ask()
        cmaes.tell(np.zeros(8))
    assert np.isfinite(cmaes.ask()).all()
