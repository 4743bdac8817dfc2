import numpy as np
import pytest
from scipy import stats

from worldmodels.compare.statistics import estimates


def draws(mean: float, spread: float, count: int, seed: int) -> list[float]:
    return np.random.default_rng(seed).normal(mean, spread, count).tolist()


def test_the_margin_is_half_of_scipys_t_interval() -> None:
    values = draws(3, 1, 5, 0)
    found = estimates({"a": values}, "lower")["a"]
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.margin == pytest.approx((interval.high - interval.low) / 2)
    assert found.seeds == 5
    assert found.mark == ""  # nothing to be best of


@pytest.mark.parametrize("seed", range(30))
def test_ties_are_those_of_welchs_test(seed: int) -> None:
    values = {"a": draws(0, 1, 4, seed), "b": draws(1.5, 0.3, 3, 100 + seed)}
    found = estimates(values, "higher")
    best, other = sorted(values, key=lambda name: -found[name].mean)
    p = stats.ttest_ind(values["a"], values["b"], equal_var=False).pvalue
    assert found[best].mark == "best"
    assert found[other].mark == ("tied" if p > 0.05 else "")


def test_of_many_equal_models_about_one_in_twenty_is_told_apart_from_a_fixed_one() -> None:
    apart = [
        estimates({"a": draws(0, 1, 5, 2 * seed), "b": draws(0, 1, 5, 2 * seed + 1)}, "lower") for seed in range(400)
    ]
    wrong = sum("" in {entry.mark for entry in found.values()} for found in apart)
    assert 5 <= wrong <= 35


def test_the_direction_decides_who_is_best() -> None:
    values = {"low": [1.0, 1.01, 0.99], "high": [2.0, 2.01, 1.99]}
    assert {name: e.mark for name, e in estimates(values, "lower").items()} == {"low": "best", "high": ""}
    assert {name: e.mark for name, e in estimates(values, "higher").items()} == {"low": "", "high": "best"}
    assert {e.mark for e in estimates(values, "neither").values()} == {""}


def test_a_single_seed_tells_nothing_apart() -> None:
    found = estimates({"a": [1.0], "b": [9.0]}, "lower")
    assert (found["a"].mark, found["b"].mark) == ("best", "tied")
    assert found["a"].margin is None


def test_equal_values_are_tied_and_constant_ones_are_not() -> None:
    found = estimates({"a": [1.0, 1.0], "b": [1.0, 1.0], "c": [2.0, 2.0]}, "lower")
    assert [found[name].mark for name in "abc"] == ["best", "tied", ""]
    assert found["a"].margin == 0


def test_a_model_without_values_is_left_out() -> None:
    assert set(estimates({"a": [1.0], "b": []}, "lower")) == {"a"}
