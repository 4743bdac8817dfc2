"""How fast, and how true, is FastCarRacing? Against Gymnasium's own CarRacing-v3, in one process and on one core.

Speed: stock and fast play the same episodes with the same actions, opening zoom included, in rounds that take
turns, and what counts is processor time, so that whatever else the machine does weighs on both alike. At 64
pixels stock's frame is cropped and resized, as it must be to make a task frame. Truth: both play the same tracks
side by side; rewards, endings and the car's state are compared exactly, frames by their peak signal-to-noise
ratio (PSNR).

    python benchmarks/car_racing.py [--rounds 5] [--steps 1000] [--tracks 20] [--picture docs/car_racing.png]
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from gymnasium.envs.box2d.car_racing import CarRacing

from worldmodels.envs.car_racing import FastCarRacing

SIZES = (64, 96)
FIDELITY_STEPS = 200
PICTURED = ((1, 15), (3, 332), (4, 381))
"""(seed, step) of the frames in the picture."""


def task_frame(frame: np.ndarray) -> np.ndarray:
    """Stock's frame (96, 96, 3) without its indicator bar, as (64, 64, 3)."""
    return cv2.resize(frame[:84], (64, 64), interpolation=cv2.INTER_AREA)


def as_observed(frame: np.ndarray, size: int) -> np.ndarray:
    """Stock's frame at one of the two sizes."""
    return frame if size == 96 else task_frame(frame)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 images in decibels; 100 if they are equal."""
    error = float(np.mean((one.astype(float) - other) ** 2))
    return 10 * math.log10(255**2 / error) if error else 100.0


def drive(env: CarRacing, seed: int) -> Iterator[np.ndarray]:
    """Actions that follow the road about as well as a tipsy driver; they read the state of `env`."""
    car: Any = env.car
    generator, wander = np.random.default_rng(seed), 0.0
    road = np.array([(x, y) for _, _, x, y in env.track])
    while True:
        hull = car.hull
        position, speed = np.array(hull.position.tuple), math.hypot(*hull.linearVelocity.tuple)
        nearest = int(np.argmin(np.linalg.norm(road - position, axis=1)))
        ahead_x, ahead_y = road[(nearest + 6) % len(road)] - position
        wander = 0.95 * wander + 0.08 * generator.normal()
        turn = math.atan2(-ahead_x, ahead_y) - hull.angle + wander
        turn = math.remainder(turn, 2 * math.pi)
        gas, brake = (0.3, 0.0) if speed < 55 - 40 * abs(turn) else (0.0, 0.2)
        yield np.array([np.clip(-1.5 * turn, -1, 1), gas, brake], np.float32)


def recorded_drive(seed: int, steps: int) -> list[np.ndarray]:
    """The actions of one drive of at most `steps` steps."""
    env, actions = FastCarRacing(size=64), []
    env.reset(seed=seed)
    for action in drive(env, seed):
        actions.append(action)
        if env.step(action)[2] or len(actions) == steps:
            return actions
    raise AssertionError("a drive does not end by itself")


def step_time(env: CarRacing, resize: bool, drives: list[list[np.ndarray]], seed: int) -> float:
    """Microseconds a step on track `seed`, played with the actions recorded there; the reset is not counted."""
    env.reset(seed=seed)
    start = time.process_time()
    for action in drives[seed]:
        frame = env.step(action)[0]
        if resize:
            task_frame(frame)
    return (time.process_time() - start) / len(drives[seed]) * 1e6


def reset_time(env: CarRacing, seed: int) -> float:
    """Milliseconds to make track `seed`."""
    start = time.process_time()
    env.reset(seed=seed)
    return (time.process_time() - start) * 1e3


def compare(name: str, unit: str, stock: Callable[[int], float], fast: Callable[[int], float], rounds: int) -> None:
    """Measures both in turns; prints their medians and the median of the ratios of all turns."""
    stock(0)  # warms caches
    fast(0)
    pairs = [(stock(number), fast(number)) for number in range(1, rounds + 1)]
    slow, quick = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"{name:<22}{slow:>12,.1f}{quick:>12,.1f}  {unit:<8}{ratio:>8.1f}x")


def report_speed(rounds: int, steps: int) -> None:
    """Prints a line a size for steps, and one for resets."""
    stock, fast = CarRacing(), {size: FastCarRacing(size=size) for size in SIZES}
    drives = [recorded_drive(seed, steps) for seed in range(rounds + 1)]
    print(f"{'':<22}{'stock':>12}{'fast':>12}")
    for size, env in fast.items():
        slow = partial(step_time, stock, size == 64, drives)
        compare(f"step, {size} x {size}", "us", slow, partial(step_time, env, False, drives), rounds)
    for size, env in fast.items():
        slow = partial(reset_time, stock)
        compare(f"reset, {size} x {size}", "ms", slow, partial(reset_time, env), 4 * rounds)


def state_of(env: CarRacing) -> tuple:
    """Everything in which two cars could differ."""
    car: Any = env.car
    bodies = [car.hull, *car.wheels]
    moving = [(*b.position.tuple, b.angle, *b.linearVelocity.tuple, b.angularVelocity) for b in bodies]
    return (
        moving,
        [(w.omega, w.phase, w.gas, w.brake, w.steer, w.joint.angle) for w in car.wheels],
        env.reward,
    )


def report_fidelity(tracks: int) -> None:
    """Prints how far frames differ, and how many steps differ in anything else (none should)."""
    stock, fast = CarRacing(), {size: FastCarRacing(size=size) for size in SIZES}
    values: dict[int, list[float]] = {size: [] for size in SIZES}
    differing = steps = 0
    for seed in range(tracks):
        frame = stock.reset(seed=seed)[0]
        frames = {size: env.reset(seed=seed)[0] for size, env in fast.items()}
        for step, action in enumerate(drive(stock, seed)):
            for size in SIZES:
                values[size].append(psnr(as_observed(frame, size), frames[size]))
            if step == FIDELITY_STEPS:
                break
            frame, *outcome = stock.step(action)
            for size, env in fast.items():
                frames[size], *ours = env.step(action)
                differing += ours != outcome or state_of(env) != state_of(stock)
            steps += 1
            if outcome[1]:
                break
    print(f"{tracks} tracks, {steps} steps; reward, ending, info or car differ in {differing} of them")
    for size, numbers in values.items():
        print(f"PSNR {size} x {size}: mean {statistics.mean(numbers):.1f} dB, least {min(numbers):.1f} dB")


def save_picture(path: Path) -> None:
    """Writes stock | fast | four times their difference, for some frames at both sizes."""
    rows = []
    for seed, step in PICTURED:
        stock, fast = CarRacing(), {size: FastCarRacing(size=size) for size in SIZES}
        frame = stock.reset(seed=seed)[0]
        frames = {size: env.reset(seed=seed)[0] for size, env in fast.items()}
        for action, _ in zip(drive(stock, seed), range(step), strict=False):
            frame = stock.step(action)[0]
            frames = {size: env.step(action)[0] for size, env in fast.items()}
        rows.append(np.hstack([panel(as_observed(frame, size), frames[size]) for size in SIZES]))
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])
    print(f"{path}: stock | fast | 4 x difference, at {' and '.join(map(str, SIZES))} pixels")


def panel(stock: np.ndarray, fast: np.ndarray) -> np.ndarray:
    """One comparison, its pixels enlarged to a height of 288."""
    difference = np.minimum(4 * np.abs(stock.astype(int) - fast), 255).astype(np.uint8)
    return np.hstack(
        [cv2.resize(image, (288, 288), interpolation=cv2.INTER_NEAREST) for image in (stock, fast, difference)]
    )


def main() -> None:
    """Parses the command line and reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of stock and fast; 0 leaves speed out")
    parser.add_argument("--steps", type=int, default=1000, help="steps an episode")
    parser.add_argument("--tracks", type=int, default=20, help="tracks to compare frames on; 0 leaves it out")
    parser.add_argument("--picture", type=Path, help="also write a PNG of frames side by side")
    options = parser.parse_args()
    cv2.setNumThreads(0)
    if options.rounds:
        report_speed(options.rounds, options.steps)
    if options.tracks:
        report_fidelity(options.tracks)
    if options.picture:
        save_picture(options.picture)


if __name__ == "__main__":
    main()
