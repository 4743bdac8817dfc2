from typing import Any

import numpy as np
import pytest

from worldmodels.config import TaskConfig
from worldmodels.envs.cover_state import NEAR, CoverState
from worldmodels.envs.labelled import labelled_game

POSITION, SIDE, AHEAD, COUNT, IS_NEAR = range(5)
FLYING = (-8.0, 0.0)


def info(*fireballs: tuple[float, ...]) -> dict[str, Any]:
    """The player stands at (100, -30); fireballs are given by place and velocity."""
    return {
        "player": np.array([100.0, -30.0]),
        "fireballs": list(fireballs),
        "fireball_pixels": np.ones((64, 64), bool),
    }


def read(*fireballs: tuple[float, ...]) -> np.ndarray:
    numbers, mask = CoverState().read(info(*fireballs))
    assert mask.all()
    return numbers


def test_the_nearest_fireball_in_sight_counts() -> None:
    state = read((400, -30, *FLYING), (200, -50, *FLYING))
    assert state.tolist() == [30, 20, 100, 2, 1]


@pytest.mark.parametrize(
    "unseen",
    [
        pytest.param((90, -30, *FLYING), id="behind the player"),
        pytest.param((150, -30, 0, 0), id="burst"),
        pytest.param((150, 60, *FLYING), id="beside the screen"),
    ],
)
def test_what_does_not_fly_towards_the_player_in_sight_is_left_out(unseen: tuple[float, ...]) -> None:
    state = read(unseen)
    assert state[[POSITION, COUNT, IS_NEAR]].tolist() == [30, 0, 0]
    assert np.isnan(state[[SIDE, AHEAD]]).all()


def test_a_fireball_between_near_and_none_is_neither() -> None:
    assert np.isnan(read((100 + NEAR + 1, -30, *FLYING))[IS_NEAR])


def test_a_fireballs_pixels_are_bright_and_where_it_is() -> None:
    game, reader = labelled_game(TaskConfig(env="WorldModels/TakeCover-v0", max_steps=2100))
    assert isinstance(reader, CoverState)
    seen = 0
    for seed in range(6):
        frame, told = game.reset(seed=seed)
        over = False
        while not over:
            numbers, mask = reader.read(told)
            if numbers[COUNT] == len(told["fireballs"]) == 1 and mask.sum() >= 4:
                assert frame[mask].mean() > 1.2 * frame.mean()
                column = 32 + 32 * numbers[SIDE] / numbers[AHEAD]  # 90 degrees wide: tan 45 is at the edge
                assert np.nonzero(mask)[1].mean() == pytest.approx(column, abs=4)
                seen += 1
            frame, _, over, _, told = game.step(np.zeros(1, np.float32))
    assert seen > 20
    game.close()
