import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium.envs.box2d.car_racing import CarRacing

from worldmodels.envs.car_racing import FastCarRacing
from worldmodels.envs.car_state import IN_SIGHT, TILES_AHEAD, CarState, car_pixels

SPEED, STEERING, DISTANCE, GRASS, HEADING, BEND = range(6)
RADIUS, NODES = 60.0, 100


class Vector(tuple):
    """As Box2D's vectors, it tells its numbers by `tuple`."""

    @property
    def tuple(self) -> "Vector":
        return self


def wheel(angle: float, on_road: bool) -> SimpleNamespace:
    return SimpleNamespace(joint=SimpleNamespace(angle=angle), tiles={1} if on_road else set())


def on_a_circle(radius: float, turned: float = 0.0) -> Any:
    """A game on a round track, driven counterclockwise; the car is at (radius, 0), turned left by some angle."""
    betas = np.arange(NODES) * 2 * math.pi / NODES  # at (R, 0) the road runs straight up
    track = [(beta, beta, RADIUS * math.cos(beta), RADIUS * math.sin(beta)) for beta in betas]
    hull = SimpleNamespace(position=Vector((radius, 0.0)), angle=turned, linearVelocity=Vector((3.0, 4.0)))
    wheels = [wheel(0.3, True), wheel(0.3, False), wheel(0, False), wheel(0, False)]
    return SimpleNamespace(
        observation_space=SimpleNamespace(shape=(64, 64, 3)),
        track=track,
        car=SimpleNamespace(hull=hull, wheels=wheels),
    )


def read(game: Any) -> np.ndarray:
    return CarState(game, None).read({})[0]


def test_the_state_on_a_round_track() -> None:
    ahead = 2 * math.pi * TILES_AHEAD / NODES
    assert read(on_a_circle(RADIUS + 2, 0.2)) == pytest.approx([5, -0.3, 2, 0.75, -0.2, -ahead], rel=1e-5)


def test_a_car_that_drives_the_other_way_sees_the_road_the_other_way_round() -> None:
    ahead = 2 * math.pi * TILES_AHEAD / NODES
    state = read(on_a_circle(RADIUS + 2, math.pi - 0.1))
    assert state[[DISTANCE, HEADING, BEND]] == pytest.approx([-2, 0.1, ahead], rel=1e-4)


def test_a_road_out_of_sight_has_no_labels() -> None:
    near, far = read(on_a_circle(RADIUS + IN_SIGHT - 1)), read(on_a_circle(RADIUS + IN_SIGHT + 1))
    assert np.isfinite(near).all()
    assert np.isnan(far).tolist() == [False, False, True, False, True, True]


def test_right_is_positive_in_the_game() -> None:
    game = FastCarRacing(size=64)
    game.reset(seed=1)
    state = CarState(game, None)
    begin = state.read({})[0]
    assert begin[GRASS] == 0
    assert abs(begin[[DISTANCE, HEADING]]).max() < 0.1
    for step in range(70):
        game.step(np.array([0.0 if step < 50 else 0.5, 0.3, 0.0], np.float32))
    turned = state.read({})[0]
    assert turned[SPEED] > 10
    assert turned[STEERING] > 0.1
    assert turned[HEADING] > 0.1
    assert turned[DISTANCE] > 0.1


def test_a_new_track_is_read_anew() -> None:
    game = FastCarRacing(size=64)
    state = CarState(game, None)
    for seed in (1, 2):
        game.reset(seed=seed)
        assert abs(state.read({})[0][DISTANCE]) < 0.1


@pytest.mark.parametrize("game", [FastCarRacing(size=64), CarRacing()])
def test_the_red_pixels_are_the_cars(game: CarRacing) -> None:
    game.reset(seed=3)
    for _ in range(60):
        frame = game.step(np.array([0.2, 0.2, 0.0]))[0]
    if len(frame) == 96:  # the bar below is no part of the task's frame
        frame = frame[:84]
    mask = CarState(game, (0, 84, 0, 96)).read({})[1]
    red = (frame[..., 0] > 120) & (frame[..., 1] < 60) & (frame[..., 2] < 60)
    rows, columns = np.nonzero(red)
    assert len(rows) > 5
    scale = 64 / np.array(frame.shape[:2])
    assert mask[(rows * scale[0]).astype(int), (columns * scale[1]).astype(int)].all()
    assert mask.sum() < 80


def test_the_crop_moves_the_car() -> None:
    whole, cropped = car_pixels(None), car_pixels((0, 84, 0, 96))
    assert np.nonzero(whole)[0].mean() < np.nonzero(cropped)[0].mean()
