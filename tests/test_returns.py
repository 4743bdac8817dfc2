import numpy as np
import pytest

from worldmodels.returns import interquartile_mean, statistics


def test_statistics_against_their_definitions() -> None:
    returns = np.random.default_rng(0).normal(100, 20, 400)
    found = statistics(returns)
    assert found["sem"] == pytest.approx(returns.std(ddof=1) / 20)
    low, high = found["interval"]
    assert (low, high) == pytest.approx((returns.mean() - 1.96, returns.mean() + 1.96), abs=0.25)


def test_one_episode_has_no_spread() -> None:
    assert statistics(np.array([3.0]))["interval"] == (3.0, 3.0)


@pytest.mark.parametrize(
    ("values", "mean"), [([1, 2, 3, 4], 2.5), ([9, 1, 5], (0.25 * 1 + 5 + 0.25 * 9) / 1.5), ([7], 7)]
)
def test_interquartile_mean(values: list[float], mean: float) -> None:
    assert interquartile_mean(np.array(values, float)) == pytest.approx(mean)
