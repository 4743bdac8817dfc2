import numpy as np
import pytest

from worldmodels.annealing import cosine_decay


def test_the_step_size_falls_from_first_to_final() -> None:
    rates = [cosine_decay(1e-3, 1e-5, step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[50] == pytest.approx(0.5 * (1e-3 + 1e-5))
    assert rates[100] == pytest.approx(1e-5)
    assert (np.diff(rates) < 0).all()
