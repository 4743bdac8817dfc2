"""VizDoom's own games as guests: no files in the working directory, and unmoved by the death of their engine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from worldmodels.config import TaskConfig
from worldmodels.envs.make import make_game
from worldmodels.errors import UserError
from worldmodels.janitor import PLACE

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and /dev/shm")
DEFEND = TaskConfig(env="VizdoomDefendCenter-v1", image_key="screen", frame_skip=4)


@pytest.fixture
def game() -> Iterator[gym.Env]:
    game = make_game(DEFEND)
    yield game
    game.close()


def engine_of(game: gym.Env) -> int:
    """Id of the game's engine."""
    instance = game.unwrapped.game.get_instance_id()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if path.exists() and instance in path.read_bytes().decode(errors="replace").split("\0"):
            return int(path.parent.name)
    raise LookupError(instance)


def play(game: gym.Env, seed: int, steps: int, kill_at: int | None = None) -> list[Any]:
    """Frames, rewards and ends of an episode; the engine is killed before step `kill_at`."""
    random = np.random.default_rng(seed)
    seen: list[Any] = [game.reset(seed=seed)[0]]
    for step in range(steps):
        if step == kill_at:
            os.kill(engine_of(game), signal.SIGKILL)
        seen += game.step(game.get_wrapper_attr("squash").random(random))[:4]
        if seen[-1] or seen[-2]:
            break
    return seen


@linux_only
@pytest.mark.parametrize("kill_at", [0, 17])
def test_an_engine_that_is_killed_is_replaced_unnoticed(game: gym.Env, kill_at: int) -> None:
    undisturbed = play(game, 3, 30)
    np.testing.assert_equal(play(game, 3, 30, kill_at), undisturbed)
    np.testing.assert_equal(play(game, 3, 30), undisturbed)


def test_an_engine_that_always_dies_is_reported(game: gym.Env, monkeypatch: pytest.MonkeyPatch) -> None:
    import vizdoom

    def dead(game: object) -> None:
        raise vizdoom.ViZDoomErrorException("no engine")

    monkeypatch.setattr("worldmodels.envs.vizdoom_games.launch", dead)
    with pytest.raises(UserError, match=r"died 3 times in a row \(no engine\)"):
        game.reset(seed=1)


def test_a_time_limit_truncates_only_and_no_black_frame_is_shown() -> None:
    game = make_game(TaskConfig(env="VizdoomBasic-v1", image_key="screen", env_kwargs={"episode_timeout": 30}))
    frame, _ = game.reset(seed=1)
    over = False
    while not over:
        before = frame
        frame, _, terminated, truncated, _ = game.step(np.float32([1, 0, 0, 0]))  # stand still
        over = terminated or truncated
    assert (terminated, truncated) == (False, True)
    assert np.array_equal(frame, before)
    assert frame.mean() > 1
    game.close()


def test_without_a_seed_episodes_follow_from_the_one_before() -> None:
    game = make_game(TaskConfig(env="VizdoomTakeCover-v1", image_key="screen"))

    def later(seed: int | None) -> np.ndarray:
        game.reset(seed=seed)
        return np.stack([game.step(np.float32([1, 0, 0]))[0] for _ in range(60)])

    first = [later(4), later(None)]
    assert not np.array_equal(*first)
    assert np.array_equal([later(4), later(None)], first)
    game.close()


def test_every_game_of_the_wrapper_can_be_made_or_says_why() -> None:
    make_game(DEFEND).close()
    refused = set()
    for name in [name for name in gym.registry if name.startswith("Vizdoom") and name.endswith("-v1")]:
        try:
            make_game(TaskConfig(env=name, image_key="screen")).close()
        except UserError as error:
            refused.add(name)
            assert "cannot be mapped" in str(error)  # noqa: PT017
    assert refused == {"VizdoomDeathmatch-v1", "VizdoomDeathmatch-MultiBinary-v1"}  # they aim with a mouse
    buttons = {"available_buttons": ["ATTACK", "TURN_LEFT", "TURN_RIGHT"]}
    game = make_game(TaskConfig(env="VizdoomDeathmatch-v1", image_key="screen", env_kwargs=buttons))
    assert game.get_wrapper_attr("squash").choices == (4,)


SCRIPT = """
import os, signal
import numpy as np
from worldmodels.config import TaskConfig
from worldmodels.envs.make import make_game
game = make_game(TaskConfig(env="VizdoomDefendCenter-v1", image_key="screen"))
game.reset(seed=0)
game.step(np.ones(4, np.float32))
print(game.unwrapped.game.get_instance_id(), flush=True)
{ending}
"""


@linux_only
@pytest.mark.parametrize("ending", ["game.close()", "", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_nothing_is_left_however_the_process_ends(tmp_path: Path, ending: str) -> None:
    for name in ("cwd", "tmp"):
        (tmp_path / name).mkdir()
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "TMPDIR": str(tmp_path / "tmp")}
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
    time.sleep(0.5)  # the engine's own end
    assert [path for path in tmp_path.rglob("*") if path.parent != tmp_path] == []
    assert [name for name in os.listdir("/dev/shm") if instance in name] == []


@linux_only
def test_engines_are_recycled_unnoticed(game: gym.Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldmodels.envs.vizdoom_games.RECYCLE_AFTER", 2)
    seen, engines = [], []
    for _ in range(5):
        seen.append(play(game, 3, 10))
        engines.append(engine_of(game))
    assert engines[0] == engines[1] != engines[2] == engines[3] != engines[4]
    for episode in seen[1:]:
        np.testing.assert_equal(episode, seen[0])


@linux_only
def test_a_folder_left_by_a_process_killed_while_its_engine_started_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"worldmodels-doom-{ended.pid}-{PLACE}-0").mkdir()
    game = make_game(DEFEND)
    game.reset(seed=1)
    assert list(tmp_path.iterdir()) == []
    game.close()
