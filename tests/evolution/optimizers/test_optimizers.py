"""What holds for every optimiser of C; its own facts are tested in files of their own."""

import typing

import numpy as np
import pytest

from worldmodels.config import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.optimizers import OPTIMIZERS, Optimizer
from worldmodels.evolution.optimizers.base import BLAS

DIMENSION, POPULATION, SIGMA0 = 8, 16, 0.3
SPHERE, ELLIPSOID = np.ones(DIMENSION), np.logspace(0, 3, DIMENSION)
PAIRED = ("openes", "pgpe")


@pytest.fixture(params=OPTIMIZERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def made(name: str, seed: int = 1, population: int = POPULATION) -> Optimizer:
    return OPTIMIZERS[name](DIMENSION, population, SIGMA0, seed)


def fitness(scales: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Best at (1, 1, ...), where it is 0."""
    return -(scales * np.square(candidates.astype(float) - 1)).sum(-1)


def evolve(optimizer: Optimizer, scales: np.ndarray, generations: int, noise: float = 0) -> float:
    """Share of the first mean's loss that the last mean is left with."""
    luck = np.random.default_rng(7)
    before = fitness(scales, optimizer.mean)
    for _ in range(generations):
        found = fitness(scales, optimizer.ask())
        optimizer.tell(found + noise * luck.standard_normal(optimizer.population))
    return fitness(scales, optimizer.mean) / before


def test_the_options_name_them_all() -> None:
    options = typing.get_args(typing.get_type_hints(ControllerConfig)["optimizer"])
    assert options == tuple(OPTIMIZERS)


def test_it_begins_at_zero_with_the_asked_step_size(name: str) -> None:
    optimizer = OPTIMIZERS[name](50, 400, 0.3, seed=1)
    assert not optimizer.mean.any()
    candidates = optimizer.ask()
    assert candidates.shape == (400, 50)
    assert (candidates.dtype, optimizer.mean.dtype) == (np.float32, np.float32)
    assert candidates.std() == pytest.approx(0.3, rel=0.02)
    assert optimizer.sigma == pytest.approx(0.3)


@pytest.mark.parametrize("seed", [1, 2])
def test_it_converges_on_a_sphere(name: str, seed: int) -> None:
    assert evolve(made(name, seed), SPHERE, 150) < 0.01


@pytest.mark.parametrize("seed", [1, 2])
def test_it_converges_on_an_ellipsoid_of_condition_1000(name: str, seed: int) -> None:
    assert evolve(made(name, seed), ELLIPSOID, 400) < 0.01


@pytest.mark.parametrize("seed", [1, 2])
def test_the_mean_improves_under_noise(name: str, seed: int) -> None:
    noise = 2.0  # a sample of the first generation is worth -8 +- 2 without it
    assert evolve(made(name, seed), SPHERE, 100, noise) < 0.3


def test_replayed_fitnesses_lead_to_the_same_state(name: str) -> None:
    optimizer, told = made(name), []
    for _ in range(15):
        told.append(fitness(ELLIPSOID, optimizer.ask()))
        optimizer.tell(told[-1])
    again = made(name)
    for recorded in told:
        again.ask()
        again.tell(np.array(recorded.tolist()))
    assert again.generation == 15
    assert (again.mean.tobytes(), again.sigma) == (optimizer.mean.tobytes(), optimizer.sigma)
    assert again.ask().tobytes() == optimizer.ask().tobytes()


def test_candidates_do_not_depend_on_the_threads_of_linear_algebra(name: str) -> None:
    """At this size OpenBLAS's eigenvectors and products round otherwise with two threads than with one."""
    asked = []
    for threads in (1, 2):
        optimizer = OPTIMIZERS[name](300, 64, 0.1, seed=5)
        luck = np.random.default_rng(1)
        with BLAS.limit(limits=threads, user_api="blas"):
            for _ in range(4):
                optimizer.ask()
                optimizer.tell(luck.standard_normal(64))
            asked.append(optimizer.ask())
    assert np.array_equal(*asked)


def test_a_step_size_that_is_set_scales_the_candidates_and_keeps_the_mean(name: str) -> None:
    optimizer = made(name)
    evolve(optimizer, ELLIPSOID, 10)
    before, spread = optimizer.mean.copy(), optimizer.ask() - optimizer.mean
    optimizer.rescale(optimizer.sigma / 100)
    assert optimizer.ask() - before == pytest.approx(spread / 100, rel=1e-3, abs=1e-6)
    assert np.array_equal(optimizer.mean, before)


def test_samples_do_not_depend_on_numpys_global_state(name: str) -> None:
    asked = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002  # the very thing
        optimizer = made(name)
        evolve(optimizer, SPHERE, 3)
        asked.append(optimizer.ask())
    assert np.array_equal(*asked)


def test_another_seed_asks_for_other_candidates(name: str) -> None:
    assert not np.isclose(made(name, 1).ask(), made(name, 2).ask()).any()


def test_every_generation_asks_for_other_candidates(name: str) -> None:
    optimizer = made(name)
    first = optimizer.ask()
    optimizer.tell(np.zeros(POPULATION))
    assert not np.isclose(first, optimizer.ask()).any()


def test_equal_fitnesses_do_no_lasting_harm(name: str) -> None:
    optimizer = made(name)
    for _ in range(20):
        optimizer.ask()
        optimizer.tell(np.full(POPULATION, -5.0))
    assert 0.1 < optimizer.sigma < 3
    assert evolve(optimizer, SPHERE, 200) < 0.01


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_fitness_that_is_no_number_is_refused(name: str, wrong: float) -> None:
    optimizer = made(name)
    optimizer.tell(fitness(SPHERE, optimizer.ask()))
    told = fitness(SPHERE, optimizer.ask())
    told[3] = wrong
    with pytest.raises(UserError, match="generation 1 is not a finite number"):
        optimizer.tell(told)
    assert optimizer.generation == 1


def test_a_step_size_beyond_all_numbers_is_refused(name: str) -> None:
    optimizer = OPTIMIZERS[name](DIMENSION, POPULATION, 1e300, seed=1)
    with pytest.raises(
        UserError, match=r"generation 0 are not finite .* step size of 1e\+300: choose a smaller sigma0"
    ):
        optimizer.ask()


def test_an_odd_population_is_refused_where_candidates_are_paired(name: str) -> None:
    if name in PAIRED:
        with pytest.raises(UserError, match=f"{name} .* even: 14 or 16 rather than 15"):
            made(name, population=15)
    else:
        assert made(name, population=15).ask().shape == (15, DIMENSION)


def test_paired_candidates_are_mirrored(name: str) -> None:
    optimizer = made(name)
    evolve(optimizer, SPHERE, 3)
    plus, minus = np.split(optimizer.ask(), 2)
    assert np.allclose((plus + minus) / 2, optimizer.mean, atol=1e-6) == (name in PAIRED)
