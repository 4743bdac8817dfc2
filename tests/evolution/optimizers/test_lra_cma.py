import cmaes
import numpy as np
import pytest

from worldmodels.evolution.optimizers.lra_cma import BETA_MEAN, LRACMAES, LearningRate

DIMENSION, POPULATION = 8, 13


class Reference(cmaes.CMA):
    """The package's LRA-CMA-ES, made to draw the steps y ~ N(0, C) that it is given."""

    steps: list[np.ndarray]

    def _sample_solution(self) -> np.ndarray:
        return self._mean + self._sigma * self.steps.pop(0)


@pytest.mark.parametrize("noise", [0.0, 30.0])
def test_it_takes_the_steps_of_the_package_cmaes(noise: float) -> None:
    ours = LRACMAES(DIMENSION, POPULATION, 0.3, seed=1)
    theirs = Reference(mean=np.zeros(DIMENSION), sigma=0.3, population_size=POPULATION, lr_adapt=True)
    luck, scales = np.random.default_rng(1), np.logspace(0, 3, DIMENSION)
    for _ in range(60):
        candidates = ours.ask()
        theirs.steps = list(ours._y)
        asked = np.stack([theirs.ask() for _ in range(POPULATION)])
        assert np.allclose(candidates, asked, rtol=1e-5, atol=1e-6)
        fitness = -(scales * np.square(asked - 1)).sum(1) + noise * luck.standard_normal(POPULATION)
        ours.tell(fitness)
        theirs.tell([(x, -value) for x, value in zip(asked, fitness, strict=True)])
    assert ours._mean == pytest.approx(theirs.mean, rel=1e-8)
    assert ours.sigma == pytest.approx(theirs._sigma, rel=1e-8)
    assert ours._cov == pytest.approx(theirs._C, rel=1e-6, abs=1e-9)
    assert ours._rate_mean.eta == pytest.approx(theirs._eta_mean, rel=1e-8)
    assert ours._rate_cov.eta == pytest.approx(theirs._eta_Sigma, rel=1e-8)


def test_a_learning_rate_falls_under_noise_and_recovers_with_a_signal() -> None:
    rate, luck = LearningRate(BETA_MEAN), np.random.default_rng(1)
    for _ in range(300):
        rate.adapt(luck.standard_normal(20))
    low = rate.eta
    for _ in range(300):
        rate.adapt(np.ones(20) + 0.01 * luck.standard_normal(20))
    assert low < 0.1
    assert rate.eta > 0.9
