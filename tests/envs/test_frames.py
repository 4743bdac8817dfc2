import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from worldmodels.envs.frames import TaskFrames, to_task_frame
from worldmodels.errors import UserError


class Picture(gym.Env):
    """Shows one picture, as it is or within a Dict, and renders it."""

    action_space = Discrete(2)

    def __init__(self, picture: np.ndarray, space: gym.Space | None = None, key: str | None = None) -> None:
        self.picture, self.key = picture, key
        own = Box(0, 255, picture.shape, np.uint8)
        self.observation_space = space or (Dict({key: own, "speed": Box(0, 1)}) if key else own)

    def _observation(self) -> object:
        return {self.key: self.picture, "speed": np.zeros(1)} if self.key else self.picture

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        return self._observation(), {}

    def step(self, action: object) -> tuple:
        return self._observation(), np.float32(2), False, False, {}

    def render(self) -> np.ndarray:
        return self.picture


def random_picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def both_frames(env: gym.Env) -> list[np.ndarray]:
    return [env.reset()[0], env.step(0)[0]]


@pytest.mark.parametrize(
    "shape", [(96, 96, 3), (128, 128), (128, 128, 1), (64, 64), (64, 64, 1), (210, 160, 3), (8, 8, 3)]
)
def test_any_image_becomes_a_task_frame(shape: tuple) -> None:
    env = TaskFrames(Picture(random_picture(*shape)))
    for frame in both_frames(env):
        assert env.observation_space.contains(frame)


def test_a_frame_of_the_right_size_is_left_alone() -> None:
    picture = random_picture(64, 64, 3)
    env = TaskFrames(Picture(picture), crop=(0, 84, 0, 96))
    assert all(frame is picture for frame in both_frames(env))


def test_resizing_averages_areas() -> None:
    picture = random_picture(128, 128, 3)
    blocks = picture.reshape(64, 2, 64, 2, 3).astype(float).mean((1, 3))
    assert np.abs(to_task_frame(picture) - blocks).max() <= 0.5


def test_grey_becomes_three_equal_channels() -> None:
    picture = random_picture(64, 64)
    for grey in (picture, picture[:, :, None]):
        frame = to_task_frame(grey)
        assert all(np.array_equal(frame[:, :, channel], picture) for channel in range(3))


def test_a_crop_keeps_rows_then_columns() -> None:
    picture = random_picture(96, 96, 3)
    assert np.array_equal(to_task_frame(picture, (10, 74, 20, 84)), picture[10:74, 20:84])


def test_an_image_in_a_dict_is_found_by_its_key() -> None:
    picture = random_picture(64, 64, 3)
    env = TaskFrames(Picture(picture, key="screen"), image_key="screen")
    assert all(np.array_equal(frame, picture) for frame in both_frames(env))


def test_a_game_of_numbers_is_watched_as_it_renders() -> None:
    picture = random_picture(128, 96, 3)
    env = TaskFrames(Picture(picture, space=Box(-1, 1, (4,))), render_pixels=True)
    assert all(np.array_equal(frame, to_task_frame(picture)) for frame in both_frames(env))


def test_rewards_are_plain_numbers() -> None:
    reward = TaskFrames(Picture(random_picture(64, 64, 3))).step(0)[1]
    assert type(reward) is float


@pytest.mark.parametrize("key", [None, "pixels"])
def test_a_dict_without_the_named_image_is_refused(key: str | None) -> None:
    with pytest.raises(UserError, match=r"observes a Dict with .*screen.*task\.image_key"):
        TaskFrames(Picture(random_picture(64, 64, 3), key="screen"), image_key=key)


@pytest.mark.parametrize(
    "space",
    [
        Box(-1, 1, (4,)),
        Box(0, 1, (64, 64, 3)),
        Box(0, 255, (64, 64, 4), np.uint8),
        Discrete(3),
        Box(0, 255, (), np.uint8),
    ],
)
def test_what_is_no_image_is_refused(space: gym.Space) -> None:
    with pytest.raises(UserError, match=r"no image .*task\.render_pixels"):
        TaskFrames(Picture(random_picture(64, 64, 3), space=space))


@pytest.mark.parametrize("crop", [(0, 97, 0, 96), (0, 96, 0, 97), (10, 10, 0, 96), (20, 10, 0, 96), (0, 9, 96, 96)])
def test_a_crop_that_leaves_nothing_or_reaches_beyond_is_refused(crop: tuple) -> None:
    with pytest.raises(UserError, match=r"task\.crop"):
        TaskFrames(Picture(random_picture(96, 96, 3)), crop=crop)


@pytest.mark.parametrize(
    "shown", [None, "text", [], np.zeros((9, 9, 3)), np.zeros((9, 9, 4), np.uint8), np.zeros((0, 0, 3), np.uint8)]
)
def test_a_rendered_picture_that_is_none_is_refused(shown: object) -> None:
    game = Picture(random_picture(64, 64, 3), space=Box(-1, 1, (4,)))
    game.picture = shown
    with pytest.raises(UserError, match=r"Picture shows .* no image"):
        TaskFrames(game, render_pixels=True).reset()


def test_a_crop_beyond_a_rendered_picture_is_refused() -> None:
    game = TaskFrames(Picture(random_picture(96, 96, 3)), crop=(0, 97, 0, 96), render_pixels=True)
    with pytest.raises(UserError, match=r"task\.crop .* beyond the 96x96 image of Picture"):
        game.reset()


@pytest.mark.parametrize(
    "shown", [None, "text", np.zeros((64, 64, 3)), np.zeros((64, 64, 3), int), np.zeros((64, 64, 4), np.uint8)]
)
def test_a_game_that_does_not_show_what_it_declares_is_refused(shown: object) -> None:
    game = Picture(random_picture(64, 64, 3))
    env = TaskFrames(game)
    game.picture = shown
    with pytest.raises(UserError, match=r"Picture shows .* no image"):
        env.reset()


def test_an_image_that_is_missing_from_its_dict_is_refused() -> None:
    game = Picture(random_picture(64, 64, 3), key="screen")
    env = TaskFrames(game, image_key="screen")
    game.key = "elsewhere"
    with pytest.raises(UserError, match=r"Picture shows NoneType"):
        env.reset()


def test_a_rendered_picture_of_the_right_size_is_left_alone() -> None:
    picture = random_picture(64, 64, 3)
    env = TaskFrames(Picture(picture, space=Box(-1, 1, (4,))), crop=(0, 32, 0, 64), render_pixels=True)
    assert all(np.array_equal(frame, picture) for frame in both_frames(env))


@pytest.mark.parametrize("shape", [(64, 64, 3), (80, 100, 3)])
def test_a_game_that_cannot_defer_its_frames_shows_them(shape: tuple) -> None:
    env = TaskFrames(Picture(random_picture(*shape)))
    shown = both_frames(env)
    develop = env.defer()
    assert all(np.array_equal(develop(frame), shown[0]) for frame in both_frames(env))


class Broken(Picture):
    """Fails in one of its methods, or pays something odd."""

    def __init__(self, failing: str, reward: object = 1.0) -> None:
        super().__init__(random_picture(64, 64, 3))
        self.failing, self.reward = failing, reward

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        if self.failing == "reset":
            raise FileNotFoundError("level.wad")
        return super().reset()

    def step(self, action: object) -> tuple:
        if self.failing == "step":
            return {}["score"]
        return self.picture, self.reward, False, False, {}


def test_a_game_that_fails_is_named_with_the_place() -> None:
    with pytest.raises(
        UserError, match=r"Broken failed in reset, with FileNotFoundError in line \d+ of .*test_frames.*level.wad"
    ):
        TaskFrames(Broken("reset")).reset()
    with pytest.raises(UserError, match=r"Broken failed in step, with KeyError in line \d+ of .*test_frames.*'score'"):
        TaskFrames(Broken("step")).step(0)


@pytest.mark.parametrize("reward", [None, "ten", np.zeros(2)])
def test_a_reward_that_is_no_number_is_refused(reward: object) -> None:
    with pytest.raises(UserError, match=r"Broken failed in step, with (Type|Value)Error"):
        TaskFrames(Broken("nothing", reward)).step(0)


def test_a_step_before_the_first_reset_is_still_its_callers_mistake() -> None:
    with pytest.raises(gym.error.ResetNeeded):
        TaskFrames(gym.wrappers.OrderEnforcing(Picture(random_picture(64, 64, 3)))).step(0)
