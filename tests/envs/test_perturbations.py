import itertools
import re

import gymnasium as gym
import numpy as np
import pytest
from counting import Counting
from scipy import stats

from worldmodels.config import TaskConfig
from worldmodels.envs.actions import VectorActions, squash_for
from worldmodels.envs.make import make_game
from worldmodels.envs.perturbations import (
    BLOB,
    BLOB_COLOUR,
    KINDS,
    ActionNoise,
    Bars,
    Blob,
    Colour,
    DroppedFrames,
    Perturbation,
    make_perturbed_game,
)
from worldmodels.errors import UserError

LONG, OTHER = 8, 17
"""Seeds of episodes of 9 steps."""
STILL = np.zeros(1, np.float32)


def rewards(game: gym.Env, seed: int, action: np.ndarray = STILL, steps: int = 9) -> np.ndarray:
    game.reset(seed=seed)
    return np.array([game.step(action)[1] for _ in range(steps)])


def counts(game: gym.Env, seed: int, steps: int = 9) -> list[int]:
    """What the frames of an episode show."""
    frames = [game.reset(seed=seed)[0], *(game.step(STILL)[0] for _ in range(steps))]
    return [int(frame[0, 0, 0]) for frame in frames]


def noisy(strength: float) -> ActionNoise:
    return ActionNoise(make_game(TaskConfig(env="counting:Counting-v0")), strength)


def test_action_noise_is_normal_and_a_function_of_the_seed() -> None:
    game = noisy(0.1)
    noise = 4 * np.concatenate([rewards(game, seed) - np.arange(9) for seed in range(8, 1808, 9)])
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    again = rewards(game, LONG)
    assert np.array_equal(again, rewards(noisy(0.1), LONG))
    assert not np.isclose(again, rewards(game, OTHER)).any()


def test_noisy_actions_stay_within_their_bounds() -> None:
    noise = rewards(noisy(50.0), LONG) - np.arange(9)
    assert set(4 * noise) <= {-1.0, 1.0}


class Choosing(gym.Env):
    """Takes two choices, of 4 and of 2, and notes them."""

    action_space = gym.spaces.MultiDiscrete([4, 2])
    observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)

    def __init__(self) -> None:
        self.chosen: list[list[int]] = []

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return np.zeros((64, 64, 3), np.uint8), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.chosen.append(action.tolist())
        return np.zeros((64, 64, 3), np.uint8), 0.0, False, False, {}


def choosing(strength: float) -> tuple[Choosing, ActionNoise]:
    game = Choosing()
    return game, ActionNoise(VectorActions(game, squash_for(game.action_space)), strength)


@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_noise_replaces_each_choice_by_a_random_one_so_often(strength: float) -> None:
    game, noise = choosing(strength)
    meant = np.array([0, 0, 1, 0, 0, 1], np.float32)
    for seed in range(40):
        noise.reset(seed=seed)
        for _ in range(100):
            noise.step(meant)
    chosen = np.array(game.chosen)
    for column, pick, size in ((0, 2, 4), (1, 1, 2)):
        expected = np.full(size, strength / size)
        expected[pick] += 1 - strength
        counts = np.bincount(chosen[:, column], minlength=size)
        assert stats.chisquare(counts, expected * len(chosen)).pvalue > 0.001
    replaced = chosen != [2, 1]
    assert np.corrcoef(replaced.T)[0, 1] == pytest.approx(0, abs=0.06)  # choices are replaced apart


def test_a_choice_is_replaced_with_a_probability() -> None:
    with pytest.raises(UserError, match=r"action_noise is the probability of a random one, and 1\.5 is none"):
        choosing(1.5)


def test_a_dropped_frame_is_the_last_one_again() -> None:
    game, dropped = DroppedFrames(Counting(), 0.3), 0
    for seed in range(8, 908, 9):
        shown = counts(game, seed)
        assert shown[0] == 0
        assert all(now in (step, last) for step, (last, now) in enumerate(itertools.pairwise(shown), 1))
        dropped += sum(now != step for step, now in enumerate(shown))
    assert dropped / 900 == pytest.approx(0.3, abs=0.05)
    assert counts(game, LONG) == counts(DroppedFrames(Counting(), 0.3), LONG)
    assert counts(DroppedFrames(Counting(), 1.0), LONG) == [0] * 10


def test_a_frame_is_dropped_of_a_game_that_paints_over_the_last_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, paint = np.zeros((64, 64, 3), np.uint8), Counting._frame

    def painted_over(self: Counting) -> np.ndarray:
        screen[...] = paint(self)
        return screen

    monkeypatch.setattr(Counting, "_frame", painted_over)
    assert counts(DroppedFrames(Counting(), 1.0), LONG) == [0] * 10


def test_bars_cover_both_sides() -> None:
    frame = Bars(Counting(), 3 / 40).reset(seed=LONG)[0]
    plain = Counting().reset(seed=LONG)[0]
    assert not frame[:, :5].any()
    assert not frame[:, 59:].any()
    assert np.array_equal(frame[:, 5:59], plain[:, 5:59])


def test_the_blob_is_at_its_place_and_nowhere_else() -> None:
    game = Blob(Counting(), 0.0)
    plain = Counting()
    game.reset(seed=LONG)
    plain.reset(seed=LONG)
    frame, bare = game.step(STILL)[0], plain.step(STILL)[0]
    assert (frame[BLOB] == BLOB_COLOUR).all()
    bare[BLOB] = BLOB_COLOUR
    assert np.array_equal(frame, bare)


def test_a_colour_shift_is_one_an_episode_and_clipped() -> None:
    game, plain, shifts = Colour(Counting(), 0.2), Counting(), []
    for seed in range(8, 368, 9):
        found = []
        plain.reset(seed=seed)
        game.reset(seed=seed)
        for _ in range(6):
            shift = game.step(STILL)[0].astype(int) - plain.step(STILL)[0]
            found.append(shift[20, 20])
        assert (np.array(found)[2:5] == found[3]).all()  # frames of 60 to 100: nothing is clipped
        shifts.append(found[3])
    assert np.abs(shifts).max() <= 51
    assert np.std(shifts) == pytest.approx(0.4 * 255 / np.sqrt(12), rel=0.15)
    dark = Colour(Counting(), 1.0).reset(seed=LONG)[0]
    assert (dark[1:] == dark[1, 0]).all()


def test_the_games_own_frame_is_left_alone() -> None:
    class Keeping(Counting):
        def _frame(self) -> np.ndarray:
            self.kept = super()._frame()
            return self.kept

    for wrapper in (Bars, Blob, Colour):
        game = Keeping()
        wrapper(game, 0.2).reset(seed=LONG)
        assert np.array_equal(game.kept, Counting().reset(seed=LONG)[0])


@pytest.mark.parametrize(
    ("text", "name", "strength", "words"),
    [
        ("action_noise", "action_noise", 0.1, "action noise 0.1"),
        ("action_noise:0.25", "action_noise", 0.25, "action noise 0.25"),
        ("action_noise:0.12345", "action_noise", 0.12345, "action noise 0.12345"),
        ("dropped_frames:1", "dropped_frames", 1.0, "dropped frames 1"),
        ("bars", "bars", 0.075, "bars 0.075"),
        ("blob", "blob", 0.0, "blob"),
        ("domain_randomize", "domain_randomize", 0.0, "domain randomize"),
    ],
)
def test_perturbations_are_named_with_a_strength(text: str, name: str, strength: float, words: str) -> None:
    perturbation = Perturbation.parse(text)
    assert (perturbation.name, perturbation.strength, str(perturbation)) == (name, strength, words)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("action_nose:0.1", "no perturbation `action_nose`; did you mean `action_noise`?"),
        ("", "did you mean"),
        ("action_noise:much", "much is no strength"),
        ("action_noise:0", "has to be above 0, not 0"),
        ("action_noise:nan", "has to be above 0"),
        ("dropped_frames:1.5", "above 0 and at most 1, not 1.5"),
        ("bars:0.6", "at most 0.5"),
        ("blob:3", "blob has no strength: leave out :3"),
    ],
)
def test_other_perturbations_are_refused(text: str, why: str) -> None:
    with pytest.raises(UserError, match=re.escape(why)):
        Perturbation.parse(text)


@pytest.mark.parametrize("score", [False, True])
def test_domain_randomize_is_the_games_own(score: bool) -> None:
    task = TaskConfig(env_kwargs={"size": 64}, score_env="CarRacing-v3", crop=(0, 84, 0, 96))
    plain, changed = (
        make_perturbed_game(task, score, perturbation=kind) for kind in (None, Perturbation.parse("domain_randomize"))
    )
    frames = [game.reset(seed=3)[0].astype(int) for game in (plain, changed, changed)]
    other = changed.reset(seed=4)[0].astype(int)
    assert np.array_equal(frames[1], frames[2])
    assert np.abs(frames[0] - frames[1]).mean() > 10
    assert np.abs(other - frames[1]).mean() > 10
    for game in (plain, changed):
        game.close()


def test_a_game_that_cannot_change_its_looks_is_refused() -> None:
    with pytest.raises(UserError, match=r"Counting-v0 cannot be made.*domain_randomize"):
        make_perturbed_game(TaskConfig(env="counting:Counting-v0"), perturbation=Perturbation.parse("domain_randomize"))


def test_every_kind_makes_a_game_of_task_frames() -> None:
    task = TaskConfig(env_kwargs={"size": 64}, max_steps=3)
    for name in KINDS:
        game = make_perturbed_game(task, perturbation=Perturbation.parse(name))
        frame, _ = game.reset(seed=1)
        step = game.step(np.array([0, 0.5, 0], np.float32))
        for shown in (frame, step[0]):
            assert (shown.shape, shown.dtype) == ((64, 64, 3), np.uint8)
        assert game.step(np.zeros(3, np.float32))[3] is False
        assert game.step(np.zeros(3, np.float32))[3] is True
        game.close()
