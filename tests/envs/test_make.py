import gymnasium as gym
import numpy as np
import pytest
from counting import COUNT, Counting

from worldmodels.config import TaskConfig
from worldmodels.envs.make import make_game
from worldmodels.errors import UserError

COUNTING = TaskConfig(env="counting:Counting-v0", max_steps=50)


def test_a_game_takes_vectors_and_shows_task_frames() -> None:
    game = make_game(COUNTING)
    frame, _ = game.reset(seed=8)
    assert game.observation_space.contains(frame)
    assert game.get_wrapper_attr("squash").dim == 1
    assert game.action_space.shape == (1,)


def test_the_step_limit_truncates() -> None:
    game = make_game(TaskConfig(env="counting:Counting-v0", max_steps=3))
    game.reset(seed=8)  # an episode of 9 steps
    assert [game.step(np.zeros(1, np.float32))[3] for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(("kwargs", "limit"), [({}, 6), ({"max_episode_steps": 2}, 2)])
def test_the_tasks_step_limit_stands_in_place_of_the_registered_one(kwargs: dict[str, int], limit: int) -> None:
    gym.register("Short-v0", entry_point="counting:Counting", max_episode_steps=4)
    try:
        game = make_game(TaskConfig(env="Short-v0", env_kwargs=kwargs, max_steps=6))
        game.reset(seed=8)
        truncated = [game.step(np.zeros(1, np.float32))[3] for _ in range(limit)]
    finally:
        del gym.registry["Short-v0"]
    assert truncated == [False] * (limit - 1) + [True]


def test_skipped_frames_add_up_their_rewards_and_stop_at_the_end() -> None:
    game = make_game(TaskConfig(env="counting:Counting-v0", frame_skip=4))
    game.reset(seed=8)
    seen = [game.step(np.zeros(1, np.float32)) for _ in range(3)]
    assert [reward for _, reward, *_ in seen] == [0 + 1 + 2 + 3, 4 + 5 + 6 + 7, 8]
    assert [int(frame[0, COUNT, 0]) for frame, *_ in seen] == [4, 8, 9]
    assert [terminated for _, _, terminated, *_ in seen] == [False, False, True]


def test_a_game_that_changes_its_actions_gets_each_repetition_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def halving(self: Counting, action: np.ndarray) -> tuple:
        seen.append(float(action[0]))
        action *= 0.5
        return self._frame(), 0.0, False, False, {}

    monkeypatch.setattr(Counting, "step", halving)
    game = make_game(TaskConfig(env="counting:Counting-v0", frame_skip=3))
    game.reset(seed=8)
    game.step(np.ones(1, np.float32))
    assert seen == [1, 1, 1]


def test_scores_may_be_reported_in_another_game() -> None:
    task = TaskConfig(env="counting:Counting-v0", score_env="CartPole-v1", render_pixels=True)
    assert isinstance(make_game(task).unwrapped, Counting)
    score = make_game(task, score=True)
    assert score.spec.id == "CartPole-v1"
    assert isinstance(make_game(COUNTING, score=True).unwrapped, Counting)
    score.close()


def test_a_game_of_numbers_and_choices_can_be_played_from_pixels() -> None:
    game = make_game(TaskConfig(env="CartPole-v1", render_pixels=True, max_steps=5))
    frame, _ = game.reset(seed=1)
    assert frame.shape == (64, 64, 3)
    assert game.get_wrapper_attr("squash").choices == (2,)
    frame, reward, *_ = game.step(np.array([0, 1], np.float32))
    assert reward == 1.0
    game.close()


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (TaskConfig(env="Nowhere-v0"), "Nowhere-v0"),
        (TaskConfig(env="no_such_module:Game-v0"), "no_such_module:Game-v0"),
        (TaskConfig(env="counting:Counting-v0", env_kwargs={"colour": 3}), "Counting-v0"),
        (TaskConfig(env="CartPole-v7"), "CartPole-v7"),
        (TaskConfig(env="CarRacing-v3", env_kwargs={"render_mode": "no such mode"}), "CarRacing-v3"),
        (TaskConfig(env="WorldModels/CarRacing-v0", env_kwargs={"size": -3}), "not -3"),
        (TaskConfig(env="VizdoomBasic-v1", env_kwargs={"max_buttons_pressed": -1}), "VizdoomBasic-v1"),
        (TaskConfig(env=""), ""),
        (TaskConfig(env="a b/c:d"), "a b/c:d"),
    ],
)
def test_a_game_that_cannot_be_made_is_refused_by_name(task: TaskConfig, name: str) -> None:
    with pytest.raises(UserError, match="cannot be made") as error:
        make_game(task)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_game_without_pixels_is_refused() -> None:
    with pytest.raises(UserError, match=r"CartPole-v1 observes .* no image"):
        make_game(TaskConfig(env="CartPole-v1"))


def test_the_own_games_are_registered() -> None:
    import worldmodels.envs  # noqa: F401  # registers them

    assert {"WorldModels/CarRacing-v0", "WorldModels/TakeCover-v0"} <= set(gym.registry)
