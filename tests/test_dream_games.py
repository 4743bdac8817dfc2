"""Dreams by their ids: what somebody meets who knows Gymnasium and nothing of this project."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from counting import COUNT
from evolving import with_controller
from gymnasium.utils.env_checker import check_env

import worldmodels.envs  # noqa: F401  # registers the ids
from worldmodels import dream_games
from worldmodels.agent import Agent
from worldmodels.errors import UserError
from worldmodels.runs import Run

IDS = {"WorldModels/DreamCarRacing-v0": "car_racing", "WorldModels/DreamTakeCover-v0": "take_cover"}


@pytest.fixture
def checkpoints(tiny_agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an agent for every id."""
    for name in IDS.values():
        tiny_agent.save(tmp_path / name)
    monkeypatch.setattr(dream_games, "CHECKPOINTS", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("observation", ["features", "frames"])
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasiums_checker_finds_nothing(
    checkpoints: Path, name: str, observation: str, render_mode: str | None
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(name, observation=observation, render_mode=render_mode)
        check_env(env.unwrapped)
    env.close()


def test_a_dream_is_made_of_a_checkpoint_or_of_a_run(tiny_run: Run, checkpoints: Path) -> None:
    ways: list[dict[str, Any]] = [
        {"id": "WorldModels/Dream-v0", "checkpoint": checkpoints / "car_racing"},
        {"id": "WorldModels/Dream-v0", "checkpoint": str(checkpoints / "take_cover"), "temperature": 1},
        {"id": "WorldModels/Dream-v0", "run": tiny_run.folder},
        {"id": "WorldModels/Dream-v0", "run": str(tiny_run.folder), "name": "real"},
        {"id": "WorldModels/DreamCarRacing-v0"},
        {"id": "WorldModels/DreamTakeCover-v0", "run": tiny_run.folder},
    ]
    seen = []
    for way in ways:
        for env in (gym.make(**way), gym.make_vec(num_envs=1, **way)):
            seen.append(env.reset(seed=4)[0].ravel())
            env.close()
    assert all(np.array_equal(one, seen[0]) for one in seen)


def test_the_vector_environment_is_the_projects_own(checkpoints: Path) -> None:
    envs = gym.make_vec("WorldModels/DreamCarRacing-v0", num_envs=4, autoreset_mode="SameStep", render_mode="rgb_array")
    assert type(envs).__name__ == "DreamEnvs"
    assert envs.metadata["autoreset_mode"] == gym.vector.AutoresetMode.SAME_STEP
    envs.reset(seed=1)
    assert [frame.shape for frame in envs.render()] == [(256, 256, 3)] * 4
    sync = gym.make_vec("WorldModels/DreamCarRacing-v0", num_envs=2, vectorization_mode="sync")
    assert type(sync).__name__ == "SyncVectorEnv"


def test_the_options_reach_the_dream(checkpoints: Path) -> None:
    def opening(**options: Any) -> np.ndarray:
        envs = gym.make_vec("WorldModels/DreamCarRacing-v0", num_envs=64, **options)
        return envs.reset(seed=1)[0][:, COUNT]

    assert not opening().any()
    assert opening(start="any").any()
    env = gym.make("WorldModels/DreamCarRacing-v0", max_steps=1, temperature=0)
    for seed in range(20):
        env.reset(seed=seed)
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        assert terminated != truncated
    assert env.metadata["render_fps"] == 50


def test_the_temperature_is_the_controllers_own_unless_it_is_given(checkpoints: Path) -> None:
    def after_a_step(**options: Any) -> np.ndarray:
        env = gym.make("WorldModels/DreamCarRacing-v0", **options)
        env.reset(seed=1)
        return env.step(np.zeros(1, np.float32))[0]

    assert np.array_equal(after_a_step(), after_a_step(temperature=1.0))
    assert not np.array_equal(after_a_step(), after_a_step(temperature=0.5))


@pytest.mark.parametrize("name", IDS)
def test_a_missing_checkpoint_is_one_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dream_games, "CHECKPOINTS", tmp_path)
    for make in (gym.make, gym.make_vec):
        with pytest.raises(UserError, match=rf"There is no trained agent .*{IDS[name]} yet: name another") as caught:
            make(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "checkpoint=FOLDER or run=FOLDER"),
        ({"checkpoint": "nowhere"}, "There is no checkpoint nowhere"),
        ({"run": "nowhere"}, "There is no run nowhere"),
        ({"checkpoint": "a", "run": "b"}, "not by both"),
        ({"run": None, "name": "x"}, "name=x is one of a run's controllers: name the run too, with run=FOLDER"),
        ({"checkpoint": "a", "name": "x"}, "name=x is one of a run's controllers"),
        ({"observation": "sounds"}, "observation: input should be 'features' or 'frames', but it is 'sounds'"),
        ({"temperature": -1}, "temperature: input should be greater than or equal to 0"),
        ({"temperature": float("inf")}, "temperature: input should be a finite number"),
        ({"max_steps": 0}, "max_steps: input should be greater than or equal to 1"),
        ({"start": "last"}, "start: input should be 'first' or 'any'"),
        ({"render_mode": "ansi"}, "render_mode: input should be 'rgb_array'"),
        ({"temprature": 1}, "no option `temprature`; did you mean `temperature`"),
    ],
)
def test_wrong_options_are_one_sentence(options: dict[str, Any], why: str) -> None:
    for make in (gym.make, gym.make_vec):
        with pytest.raises(UserError, match=why.replace("(", r"\(")) as caught:
            make("WorldModels/Dream-v0", **options)
        assert "\n" not in str(caught.value)


def test_an_unknown_controller_of_a_run_is_refused(tiny_run: Run) -> None:
    with pytest.raises(UserError, match=r"no controller imagined in the options of .*: it has real, dream"):
        gym.make("WorldModels/Dream-v0", run=tiny_run.folder, name="imagined")


def test_environments_share_an_agent_until_it_changes(checkpoints: Path, tiny_agent: Agent) -> None:
    def dreamer() -> Agent:
        return dream_games.dreamer(dream_games.DreamGame(checkpoint=checkpoints / "car_racing"))

    first = dreamer()
    assert dreamer() is first
    shutil.rmtree(checkpoints / "car_racing")
    tiny_agent.save(checkpoints / "car_racing")
    assert dreamer() is not first


def test_a_trained_agent_has_no_other_names(checkpoints: Path) -> None:
    with pytest.raises(UserError, match="name=real is one of a run's controllers"):
        gym.make("WorldModels/DreamCarRacing-v0", name="real")


def test_a_run_whose_options_have_changed_dreams_anew(tiny_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", tiny_run.config)
    shutil.copytree(tiny_run.folder, run.folder)

    def width() -> int:
        [width] = gym.make("WorldModels/Dream-v0", run=run.folder, name="real").observation_space.shape
        return width

    before = width()
    Run(run.folder, with_controller(run.config, "real", inputs="z")).record()
    assert width() == tiny_run.config.vision.latent_dim < before


def test_the_ids_are_known_without_torch() -> None:
    known = "gymnasium.spec('WorldModels/DreamTakeCover-v0')"
    script = f"import gymnasium, sys, worldmodels.envs; {known}; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
