"""FastCarRacing beside Gymnasium's own CarRacing: the same game, nearly the same pixels."""

import math
import pickle
import warnings
from typing import Any

import cv2
import numpy as np
import pytest
from gymnasium.envs.box2d.car_racing import CarRacing
from gymnasium.utils.env_checker import check_env

from worldmodels.envs.car_painter import stripe_span
from worldmodels.envs.car_racing import FastCarRacing
from worldmodels.envs.frames import area_weights
from worldmodels.envs.screen import lens_of
from worldmodels.envs.track_painter import shrink


def wander(steps: int, seed: int) -> np.ndarray:
    """Time-correlated actions (steps, 3) that skid, brake, and leave the road."""
    generator, steering = np.random.default_rng(seed), 0.0
    actions = np.zeros((steps, 3), np.float32)
    for step in range(steps):
        steering = 0.95 * steering + 0.1 * generator.normal()
        actions[step] = np.clip(steering, -1, 1), 0.5 + 0.5 * math.sin(step / 17), 0.95 * (step % 60 > 52)
    return actions


def state_of(env: CarRacing) -> list[Any]:
    """Everything in which two cars, their skid marks, and the tiles they have touched could differ."""
    car: Any = env.car
    bodies = [(*b.position.tuple, b.angle, *b.linearVelocity.tuple, b.angularVelocity) for b in [car.hull, *car.wheels]]
    wheels = [(w.omega, w.phase, w.gas, w.brake, w.steer, w.joint.angle, len(w.tiles)) for w in car.wheels]
    road: Any = env.road
    marks = [(p.color, p.poly, bool(p.grass)) for p in car.particles]
    tiles = [(tile.road_visited, tile.color.tolist()) for tile in road]
    return [bodies, wheels, marks, tiles, env.reward, env.tile_visited_count, env.t]


def task_frame(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame[:84], (64, 64), interpolation=cv2.INTER_AREA)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = float(np.mean((one.astype(float) - other) ** 2))
    return 10 * math.log10(255**2 / error) if error else 100.0


def play(env: CarRacing, seed: int, actions: Any) -> tuple[list[np.ndarray], list[Any], list[Any]]:
    """Observations, what else `step` returned, and states of an episode."""
    frames, outcomes, states = [env.reset(seed=seed)[0]], [], [state_of(env)]
    for action in actions:
        frame, *outcome = env.step(action)
        frames.append(frame)
        outcomes.append(outcome)
        states.append(state_of(env))
        if outcome[1]:
            break
    return frames, outcomes, states


@pytest.fixture(scope="module")
def fast64() -> FastCarRacing:
    return FastCarRacing(size=64)


@pytest.fixture(scope="module")
def fast96() -> FastCarRacing:
    return FastCarRacing()


def without_drawing(**options: Any) -> CarRacing:
    """Stock's game without its pixels, for episodes too long to draw."""

    class Blind(CarRacing):
        def _render(self, mode: str) -> np.ndarray:
            return np.zeros((96, 96, 3), np.uint8)

    return Blind(**options)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_game_is_stocks_bit_for_bit(seed: int, fast64: FastCarRacing) -> None:
    actions = wander(600, seed)
    _, outcomes, states = play(without_drawing(), seed, actions)
    _, fast_outcomes, fast_states = play(fast64, seed, actions)
    assert fast_outcomes == outcomes
    assert fast_states == states
    assert any(state[2] for state in states), "the drive should leave skid marks"


@pytest.mark.parametrize("options", [{"continuous": False}, {"domain_randomize": True}, {"lap_complete_percent": 0.5}])
def test_the_game_is_stocks_with_every_option(options: dict[str, Any]) -> None:
    actions = wander(300, 7) if options.get("continuous", True) else [3, 1, 3, 3, 2, 0, 4, 3] * 40
    _, outcomes, states = play(without_drawing(**options), 7, actions)
    _, fast_outcomes, fast_states = play(FastCarRacing(size=64, **options), 7, actions)
    assert fast_outcomes == outcomes
    assert fast_states == states


def test_off_the_field_ends_as_in_stock(fast64: FastCarRacing) -> None:
    endings = []
    for env in (without_drawing(), fast64):
        env.reset(seed=5)
        for step in range(1500):
            _, *outcome = env.step(np.array([0, 0.1, 0], np.float32))
            if outcome[1]:
                endings.append((step, *outcome))
                break
    assert endings[0] == endings[1]
    assert endings[0][1:] == (-100, True, False, {"lap_finished": False})


@pytest.mark.parametrize(("seed", "randomize"), [(1, False), (2, False), (3, True)])
def test_frames_are_nearly_stocks(seed: int, randomize: bool) -> None:
    """Through the opening zoom (50 steps) and beyond."""
    actions = wander(90, seed)
    stock = play(CarRacing(domain_randomize=randomize), seed, actions)[0]
    whole = play(FastCarRacing(domain_randomize=randomize), seed, actions)[0]
    task = play(FastCarRacing(domain_randomize=randomize, size=64), seed, actions)[0]
    whole_psnr = [psnr(frame, ours) for frame, ours in zip(stock, whole, strict=True)]
    task_psnr = [psnr(task_frame(frame), ours) for frame, ours in zip(stock, task, strict=True)]
    assert np.mean(task_psnr) > 44
    assert min(task_psnr) > 35
    assert np.mean(whole_psnr) > 44
    assert min(whole_psnr) > 36
    bars = [psnr(frame[84:], ours[84:]) for frame, ours in zip(stock, whole, strict=True)]
    assert min(bars) > 30


def test_the_task_frame_is_the_whole_frame_cropped_and_resized(fast64: FastCarRacing, fast96: FastCarRacing) -> None:
    actions = wander(100, 9)
    task, whole = play(fast64, 9, actions)[0], play(fast96, 9, actions)[0]
    assert min(psnr(task_frame(frame), ours) for frame, ours in zip(whole, task, strict=True)) > 36


@pytest.mark.parametrize("size", [64, 96])
def test_gymnasiums_checker_is_content(size: int) -> None:
    env = FastCarRacing(size=size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(symmetric and normalized|not within the env).*")
        check_env(env, skip_render_check=True)
    assert env.observation_space.shape == (size, size, 3)


def test_observations_are_fresh_arrays(fast64: FastCarRacing, fast96: FastCarRacing) -> None:
    for env in (fast64, fast96):
        first, _ = env.reset(seed=1)
        kept = first.copy()
        second = env.step(np.array([1, 1, 0], np.float32))[0]
        assert not np.shares_memory(first, second)
        assert np.array_equal(first, kept)
        assert first.flags.c_contiguous
        assert first.flags.owndata


def test_episodes_repeat_exactly(fast96: FastCarRacing) -> None:
    """Also on a track painted over another one, whose tiles have changed colour."""
    actions = wander(90, 11)
    frames = play(fast96, 11, actions)[0]
    play(fast96, 12, actions)
    again = play(fast96, 11, actions)[0]
    fresh = play(FastCarRacing(), 11, actions)[0]
    assert np.array_equal(frames, again)
    assert np.array_equal(frames, fresh)


def test_touched_tiles_are_repainted_as_if_painted_so(fast64: FastCarRacing, fast96: FastCarRacing) -> None:
    for env in (fast64, fast96):
        play(env, 2, wander(300, 2))
        assert env.tile_visited_count > 10
        frame = env._observe().astype(int)
        env._is_painted = False
        assert np.abs(frame - env._render("state_pixels")).max() <= 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_actions_that_are_not_finite_are_refused(bad: float, fast64: FastCarRacing) -> None:
    fast64.reset(seed=1)
    before = state_of(fast64)
    with pytest.raises(ValueError, match="finite numbers for steering, gas and brake"):
        fast64.step(np.array([0, bad, 0], np.float32))
    assert state_of(fast64) == before


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="size 96 or 64, not 84"):
        FastCarRacing(size=84)


def test_rendering_is_stocks_own() -> None:
    stock, fast = CarRacing(render_mode="rgb_array"), FastCarRacing(render_mode="rgb_array", size=64)
    actions = wander(60, 3)
    play(stock, 3, actions)
    play(fast, 3, actions)
    assert np.array_equal(stock.render(), fast.render())


def test_a_pickled_environment_keeps_its_arguments() -> None:
    copy = pickle.loads(pickle.dumps(FastCarRacing(size=64, continuous=False)))
    assert copy.observation_space.shape == (64, 64, 3)
    assert not copy.continuous


def test_area_weights_average() -> None:
    pixels = np.arange(12.0)
    assert np.allclose(area_weights(12, 4) @ pixels, pixels.reshape(4, 3).mean(axis=1))
    assert np.allclose(area_weights(10, 4) @ np.ones(10), 1)
    assert np.allclose(area_weights(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    for size in (64, 96):
        assert np.allclose(lens_of(size).columns.sum(axis=1), 1)


def test_shrinking_moves_each_edge_by_its_margin() -> None:
    rectangle = np.array([(0, 0), (10, 0), (10, 4), (0, 4)], float)
    smaller = np.array([(4, 1), (8, 1), (8, 1), (4, 1)], float)  # from the bottom 1, right 2, top 3, left 4
    assert np.allclose(shrink(rectangle[None], (1, 2, 3, 4))[0], smaller)
    mirrored = shrink(rectangle[None, :, ::-1], (1, 2, 3, 4))[0]
    assert np.allclose(mirrored, smaller[:, ::-1])


def test_the_stripe_shows_on_the_upper_half_of_a_wheel() -> None:
    assert stripe_span(0.5) is None  # wholly underneath
    assert stripe_span(math.pi + 0.1) == pytest.approx((math.cos(math.pi + 0.1), math.cos(math.pi + 1.3)))
    start, end = stripe_span(-0.5) or (0, 0)
    assert (start, end) == pytest.approx((math.cos(-0.5), 1))
