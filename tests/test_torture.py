"""A few kills of each kind; `make torture` does a hundred."""

import pytest
from torture import VICTIMS, torture

KILLS = 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("variant", VICTIMS)
def test_killed_runs_end_as_undisturbed_ones(variant: str) -> None:
    assert torture([variant], KILLS, seed=1).total() == KILLS
