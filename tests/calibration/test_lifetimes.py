import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.calibration.lifetimes import Lifetimes, lifetimes, side_by_side
from worldmodels.play import Outcomes


def test_ends_and_steps_are_counted_at_their_ages() -> None:
    found = lifetimes("still", None, np.array([1, 2, 3, 16, 32, 32]), 32)
    assert found == Lifetimes("still", None, (0, 2, 4, 8, 16, 32), (11, 7, 12, 24, 32), (2, 1, 0, 1, 0))


@given(st.lists(st.integers(1, 300), min_size=1), st.integers(0, 50))
def test_no_step_and_no_end_is_lost(lengths: list[int], more: int) -> None:
    limit = max(lengths) + more
    found = lifetimes("one", 1.0, np.array(lengths), limit)
    assert sum(found.steps) == sum(lengths)
    assert sum(found.ends) == sum(length < limit for length in lengths)
    assert all(steps or not ends for steps, ends in zip(found.steps, found.ends, strict=True))


def test_a_constant_hazard_is_the_same_at_every_age() -> None:
    lengths = np.random.default_rng(1).geometric(0.01, 40_000).clip(max=200)
    found = lifetimes("one", 1.0, lengths, 200)
    assert np.array(found.ends) / np.array(found.steps) == pytest.approx(0.01, rel=0.05)


def test_the_dream_stands_after_the_game_where_a_player_has_one() -> None:
    outcomes = Outcomes(np.ones(2), np.array([3, 4]), np.zeros(2, bool))
    found = side_by_side({"a": outcomes, "b": outcomes}, {"b": outcomes}, 1.15, 8)
    assert [(one.player, one.temperature) for one in found] == [("a", None), ("b", None), ("b", 1.15)]
