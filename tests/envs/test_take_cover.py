"""TakeCover: the paper's game, seeded, and unmoved by the death of its engine."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import numpy as np
import pytest
import vizdoom as vzd
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from worldmodels.config import TaskConfig
from worldmodels.envs import doom_engine, take_cover
from worldmodels.envs.make import make_game
from worldmodels.envs.take_cover import LEFT, RIGHT, STAY, TakeCover
from worldmodels.errors import UserError

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and /dev/shm")


@pytest.fixture
def env() -> Iterator[TakeCover]:
    env = TakeCover()
    yield env
    env.close()


def random_actions(steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (steps, 1)).astype(np.float32)


def play(env: gymnasium.Env, actions: np.ndarray, seed: int | None, kill_at: tuple[int, ...] = ()) -> list[Any]:
    """Everything an agent could see of one episode; the engine is killed before the steps in `kill_at`."""
    observation, info = env.reset(seed=seed)
    seen: list[Any] = [(observation, info)]
    for step, action in enumerate(actions):
        if step in kill_at:
            kill_engine(env)
        seen.append(env.step(action))
        if seen[-1][2] or seen[-1][3]:
            break
    return seen


def kill_engine(env: TakeCover) -> None:
    (pid,) = engines(env._game.get_instance_id())
    os.kill(pid, signal.SIGKILL)


def engines(instance: str = "") -> list[int]:
    """Ids of the running engines whose command line names the instance."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has just ended
            continue
        if command[0].endswith("/vizdoom") and (not instance or instance in command):
            found.append(int(path.parent.name))
    return found


def assert_same(one: list[Any], other: list[Any]) -> None:
    np.testing.assert_equal(one, other, strict=True)


def test_gymnasium_finds_no_fault() -> None:
    spec = EnvSpec("TakeCover-v0", entry_point="worldmodels.envs.take_cover:TakeCover")
    env = gymnasium.make(spec, render_mode="rgb_array", labels=True, disable_env_checker=True)
    check_env(env.unwrapped)
    env.close()


def test_a_seed_fixes_all_the_episodes_that_follow(env: TakeCover) -> None:
    first = [play(env, random_actions(400), seed) for seed in (7, None)]
    again = [play(env, random_actions(400), seed) for seed in (7, None)]
    assert_same(first, again)
    assert not np.array_equal(first[0][60][0], first[1][60][0])


def test_recycling_the_engine_changes_nothing(env: TakeCover) -> None:
    recycled = TakeCover(recycle_after=1)
    for seed in (3, None, None):
        assert_same(play(env, random_actions(60), seed), play(recycled, random_actions(60), seed))
    recycled.close()


def test_labels_change_nothing_and_say_where_things_are(env: TakeCover) -> None:
    labelled = TakeCover(labels=True)
    plain, episode = play(env, random_actions(100), 1), play(labelled, random_actions(100), 1)
    assert_same([step[0] for step in plain], [step[0] for step in episode])
    assert plain[-1][-1] == {}
    info = episode[-1][-1]
    assert info["player"].shape == (2,)
    assert len(info["fireballs"]) > 0
    assert all(len(fireball) == 4 for fireball in info["fireballs"])
    labelled.close()


@pytest.mark.parametrize(
    ("action", "move"),
    [(-1, LEFT), (-0.334, LEFT), (-0.333, STAY), (0, STAY), (0.333, STAY), (0.334, RIGHT), (1, RIGHT)],
)
def test_thirds_of_the_action_range(action: float, move: int) -> None:
    assert take_cover._move(np.array([action], np.float32)) == move


def test_right_is_right() -> None:
    env = TakeCover(labels=True)
    ys = {}
    for action in (-1.0, 0.0, 1.0):
        env.reset(seed=0)
        for _ in range(10):
            ys[action] = env.step(np.array([action], np.float32))[-1]["player"][1]
    env.close()
    assert ys[1.0] < ys[0.0] < ys[-1.0]


@pytest.mark.parametrize("action", [[np.nan], [np.inf], [], [0.1, 0.2], [[0.1]], 0.1, ["left"]])
def test_an_action_that_is_none_is_refused(env: TakeCover, action: Any) -> None:
    with pytest.raises(ValueError, match="one finite number"):
        env.step(np.array(action))


@pytest.mark.parametrize(
    "argument",
    [
        {"size": 32},
        {"skill": 6},
        {"skill": 4.0},
        {"time_limit": 0},
        {"time_limit": 30.5},
        {"time_limit": 2**31},
        {"render_mode": "human"},
    ],
)
def test_an_unknown_argument_is_refused(argument: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(argument))):
        TakeCover(**argument)


def test_death_terminates_and_shows_no_black_frame() -> None:
    env = TakeCover(size=None, render_mode="rgb_array")
    *before, last = play(env, random_actions(2100), 0)
    observation, _, terminated, truncated, _ = last
    assert (terminated, truncated) == (True, False)
    assert sum(step[1] for step in [*before[1:], last]) == len(before) < 2100
    assert all(step[0].mean() > 10 for step in [*before, last])
    np.testing.assert_array_equal(observation, before[-1][0])
    np.testing.assert_array_equal(env.render(), observation)
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(1, np.float32))
    env.close()


def test_the_time_limit_truncates() -> None:
    env = TakeCover(time_limit=20)
    episode = play(env, random_actions(100), 0)
    assert len(episode) == 1 + 20
    assert sum(step[1] for step in episode[1:]) == 20
    assert episode[-1][2:4] == (False, True)
    assert all(step[0].mean() > 10 for step in episode)
    env.close()


def test_a_whole_episode_returns_2100(env: TakeCover) -> None:
    env.reset(seed=0)
    env._game.send_game_command("god")
    steps = [env.step(np.zeros(1, np.float32)) for _ in range(2100)]
    assert sum(step[1] for step in steps) == 2100
    assert not any(step[2] or step[3] for step in steps[:-1])
    assert steps[-1][2:4] == (False, True)


def test_frames_are_made_of_what_the_engine_draws(env: TakeCover) -> None:
    whole = TakeCover(size=None)
    for (frame, *_), (screen, *_) in zip(
        play(env, random_actions(40), 2), play(whole, random_actions(40), 2), strict=True
    ):
        assert screen.shape == (120, 160, 3)
        np.testing.assert_array_equal(frame, cv2.resize(screen[:100], (64, 64), interpolation=cv2.INTER_AREA))
    whole.close()


def test_deferred_frames_are_the_frames(env: TakeCover) -> None:
    game = make_game(TaskConfig(env="WorldModels/TakeCover-v0", max_steps=30))
    develop = game.get_wrapper_attr("defer")()
    deferred, frames = play(game, random_actions(30), 2), play(env, random_actions(30), 2)
    for (screen, *_), (frame, *_) in zip(deferred, frames, strict=True):
        assert screen.shape == (100, 160)
        np.testing.assert_array_equal(develop(screen), frame)
    game.close()


@pytest.mark.parametrize("size", [64, None])
def test_frames_belong_to_the_caller(size: int | None) -> None:
    env = TakeCover(size=size, time_limit=3, render_mode="rgb_array")
    frames = [env.reset(seed=0)[0]]
    copies = [frames[0].copy()]
    for action in random_actions(3):
        frames.append(env.step(action)[0])
        copies.append(frames[-1].copy())
    assert_same(frames, copies)
    frames[2][:] = 0  # the last step repeats this picture
    env.render()[:] = 0
    np.testing.assert_array_equal(frames[3], copies[2])
    assert env.render().any()
    env.close()


@linux_only
def test_an_engine_killed_in_mid_episode_is_replaced_unnoticed() -> None:
    env, undisturbed = TakeCover(labels=True), TakeCover(labels=True)
    actions = random_actions(2100, seed=5)
    expected = play(undisturbed, actions, 11)
    last = len(expected) - 2
    assert_same(play(env, actions, 11, kill_at=(0, 1, 150, last)), expected)
    kill_engine(env)
    assert_same(play(env, actions, None), play(undisturbed, actions, None))
    env.close()
    undisturbed.close()


@linux_only
def test_a_queue_that_an_engine_died_holding_is_unlocked() -> None:
    engine = subprocess.Popen(["sleep", "0.1"])
    queues = []
    for owner in (engine.pid, 0, os.getpid()):  # the engine; someone between two words; one of ours
        queues.append(mmap.mmap(-1, 4096))
        struct.pack_into("5i", queues[-1], 48, 1, 0, owner, 1, 128)  # lock, count, owner, users, kind
    doom_engine._outlive(engine.pid, queues)
    assert engine.wait() == 0
    assert [struct.unpack_from("i", queue, 48)[0] for queue in queues] == [0, 0, 1]


def test_an_engine_that_always_dies_is_reported(env: TakeCover, monkeypatch: pytest.MonkeyPatch) -> None:
    env.reset(seed=0)
    starts = []

    def no_engine(*_: object) -> vzd.DoomGame:
        starts.append(1)
        raise vzd.ViZDoomUnexpectedExitException("gone")

    monkeypatch.setattr(take_cover, "start_engine", no_engine)
    env._game.close()
    with pytest.raises(UserError, match=r"died 3 times in a row \(gone\): see whether .*, then repeat the command\.$"):
        env.step(np.zeros(1, np.float32))
    assert len(starts) == 3
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(1, np.float32))
    monkeypatch.undo()
    env.reset()


def test_close_may_be_repeated_and_reset_revives() -> None:
    env = TakeCover(render_mode="rgb_array")
    env.close()
    with pytest.raises(ResetNeeded):
        env.render()
    env.reset(seed=0)
    env.close()
    env.close()
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(1, np.float32))
    env.reset()
    env.close()


SCRIPT = """
import os, signal, sys
import numpy as np
from worldmodels.envs.take_cover import TakeCover
env = TakeCover()
env.reset(seed=0)
env.step(np.ones(1, np.float32))
print(env._game.get_instance_id(), flush=True)
{ending}
"""


@linux_only
@pytest.mark.parametrize("ending", ["env.close()", "", "os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_nothing_is_left_however_the_process_ends(tmp_path: Path, ending: str) -> None:
    (tmp_path / "cwd").mkdir()
    (tmp_path / "tmp").mkdir()
    paths = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(ending=ending)],
        cwd=tmp_path / "cwd",
        env=os.environ | paths,
        capture_output=True,
        text=True,
        check=False,
    )
    instance = ran.stdout.strip()
    assert instance, ran.stderr
    deadline = time.monotonic() + 5
    while engines(instance) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engines(instance) == []
    assert sorted(path for path in tmp_path.rglob("*") if path.parent != tmp_path) == []
    assert [name for name in os.listdir("/dev/shm") if instance in name] == []
    assert ran.stderr == ""


@linux_only
def test_a_running_engine_holds_no_files(env: TakeCover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    env.reset(seed=0)
    assert list(tmp_path.iterdir()) == []
    assert [name for name in os.listdir("/dev/shm") if env._game.get_instance_id() in name] == []


@pytest.mark.slow
def test_a_random_policy_survives_as_long_as_the_papers(env: TakeCover) -> None:
    """Ha & Schmidhuber's random policy scores 210 (+- 108 over 100 episodes)."""
    rng = np.random.default_rng(0)
    returns = []
    for episode in range(200):
        env.reset(seed=1 + episode)
        over, total = False, 0.0
        while not over:
            _, reward, terminated, truncated, _ = env.step(rng.uniform(-1, 1, 1).astype(np.float32))
            over, total = terminated or truncated, total + reward
        returns.append(total)
    mean, deviation = np.mean(returns), np.std(returns, ddof=1)
    error = deviation / np.sqrt(len(returns))
    print(f"random policy: {mean:.1f} +- {deviation:.1f}, standard error {error:.1f}")
    assert abs(mean - 210) < 2 * error
