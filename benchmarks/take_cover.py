"""How fast is TakeCover? Environment steps a second (64x64 frames) against the bare engine's loop.

The baseline is what no environment can do without: `make_action`, `get_state`, the screen, in RGB, a new
episode at the end. Both play random moves in the same process, in rounds that take turns, so that whatever else
the machine does weighs on both alike. Prints a line a round, the medians and the median ratio.

    python benchmarks/take_cover.py [rounds] [steps a round]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import vizdoom as vzd

from worldmodels.envs.doom_engine import start_engine
from worldmodels.envs.take_cover import TakeCover

BUTTONS = ([0, 0], [1, 0], [0, 1])


def bare_loop(game: vzd.DoomGame, steps: int) -> None:
    """Plays `steps` random tics in the engine itself."""
    moves = np.random.default_rng(0).integers(3, size=steps)
    game.new_episode()
    for move in moves:
        game.make_action(BUTTONS[move])
        if game.is_episode_finished():
            game.new_episode()
        game.get_state().screen_buffer  # noqa: B018


def env_loop(env: TakeCover, steps: int) -> None:
    """Plays `steps` random tics in the environment."""
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 1)).astype(np.float32)
    env.reset()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()


def steps_per_second(loop: Callable[[int], None], steps: int) -> float:
    """Runs `loop(steps)` once."""
    start = time.perf_counter()
    loop(steps)
    return steps / (time.perf_counter() - start)


def main(rounds: int = 11, steps: int = 3000) -> None:
    """Takes the rounds and prints what they say."""
    game, env = start_engine(skill=4, time_limit=2100, labels=False, screen=vzd.ScreenFormat.RGB24), TakeCover()
    game.set_seed(0)
    env.reset(seed=0)
    ours, bare = [], []
    for _ in range(rounds):
        bare.append(steps_per_second(lambda n: bare_loop(game, n), steps))
        ours.append(steps_per_second(lambda n: env_loop(env, n), steps))
        print(f"engine {bare[-1]:.0f}, environment {ours[-1]:.0f} steps/s, ratio {ours[-1] / bare[-1]:.2f}")
    ratio = statistics.median(o / b for o, b in zip(ours, bare, strict=True))
    print(
        f"medians of {rounds} rounds of {steps} steps: engine {statistics.median(bare):.0f}, "
        f"environment {statistics.median(ours):.0f} steps/s, ratio {ratio:.2f}"
    )
    env.close()
    game.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
