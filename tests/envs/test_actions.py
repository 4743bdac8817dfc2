import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text

from worldmodels.envs.actions import Squash, VectorActions, squash_for
from worldmodels.errors import UserError

CAR = Box(np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32))
RAW = np.array([[0.5, 0.5, 0.5], [-0.5, -0.5, -0.5], [1e9, -1e9, 1e9]], np.float32)


class Recorder(gym.Env):
    """Writes down the actions that reach it."""

    observation_space = Box(0, 1, (1,))

    def __init__(self, space: gym.Space) -> None:
        self.action_space, self.taken = space, []

    def step(self, action: object) -> tuple:
        self.taken.append(action)
        return np.zeros(1), 0.0, False, False, {}


def played(space: gym.Space, action: list[float]) -> object:
    """What a game with the space gets for an action vector."""
    env = Recorder(space)
    VectorActions(env, squash_for(space)).step(np.array(action, np.float32))
    assert space.contains(env.taken[0])
    return env.taken[0]


def test_the_papers_squash_of_car_racing() -> None:
    actions = squash_for(CAR, ["tanh", "half", "clip"])(RAW)
    t = np.tanh(RAW)
    assert np.allclose(actions, np.column_stack([t[:, 0], (t[:, 1] + 1) / 2, np.clip(t[:, 2], 0, 1)]))
    assert actions.dtype == np.float32


def test_without_kinds_tanh_is_scaled_to_the_bounds() -> None:
    space = Box(np.array([-2, 10], np.float32), np.array([4, 20], np.float32))
    actions = squash_for(space)(np.array([[0, 0], [-99, 99], [99, -99]]))
    assert actions.tolist() == [[1, 15], [-2, 20], [4, 10]]


@pytest.mark.parametrize("space", [CAR, Box(-3, 5, (2,)), Discrete(3), MultiDiscrete([2, 3])])
def test_actions_always_fit(space: gym.Space) -> None:
    squash = squash_for(space)
    raw = np.random.default_rng(0).normal(0, 5, (200, squash.dim))
    assert all(squash.space.contains(action) for action in squash(raw))


def test_a_discrete_game_plays_the_highest_score() -> None:
    squash = squash_for(Discrete(3))
    assert squash(np.array([[0.1, 3, -1], [5, 4, 3]])).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert played(Discrete(3), [0, 1, 0]) == 1
    assert played(Discrete(3, start=5), [0, 0, 1]) == 7


def test_a_multi_discrete_game_plays_the_highest_of_each_choice() -> None:
    space = MultiDiscrete([2, 3])
    assert squash_for(space)(np.array([[9, 1, 0, 2, 1]])).tolist() == [[1, 0, 0, 1, 0]]
    assert np.array_equal(played(space, [0, 1, 0, 0, 1]), [1, 2])
    assert np.array_equal(played(MultiDiscrete([2, 3], start=[10, 20]), [0, 1, 1, 0, 0]), [11, 20])
    assert np.array_equal(played(MultiDiscrete([[2, 2], [2, 2]]), [0, 1, 1, 0, 1, 0, 0, 1]), [[1, 0], [0, 1]])


def test_a_multi_binary_game_turns_its_switches_on_and_off() -> None:
    assert squash_for(MultiBinary(2))(np.array([[0, 1, 3, 2]])).tolist() == [[0, 1, 1, 0]]
    assert np.array_equal(played(MultiBinary(3), [1, 0, 0, 1, 0, 1]), [0, 1, 1])
    assert np.array_equal(played(MultiBinary((1, 2)), [0, 1, 1, 0]), [[1, 0]])


def test_a_box_game_gets_the_vector_as_it_is() -> None:
    assert np.array_equal(played(CAR, [0.25, 0.5, 0.75]), np.float32([0.25, 0.5, 0.75]))


@pytest.mark.parametrize(
    ("space", "action", "taken"),
    [
        (Box(0, 10, (2,), np.int32), [2.6, 10], [3, 10]),
        (Box(0, 255, (1,), np.uint8), [254.7], [255]),
        (Box(-0.1, 0.1, (2,), np.float64), [0.1, -0.1], [0.1, -0.1]),  # in float32, they are beyond the bounds
    ],
)
def test_a_box_game_gets_numbers_of_its_own_type(space: gym.Space, action: list[float], taken: list[float]) -> None:
    assert np.array_equal(played(space, action), np.array(taken, space.dtype))


def test_what_a_game_does_to_an_action_changes_no_record() -> None:
    env, action = Recorder(CAR), np.array([0.25, 0.5, 0.75], np.float32)
    VectorActions(env, squash_for(CAR)).step(action)
    env.taken[0][:] = 0
    assert action.tolist() == [0.25, 0.5, 0.75]


def test_rounding_takes_no_action_beyond_its_bounds() -> None:
    """From -2.3 to 1.37 in float32: low + 2 * half the width is 1.3700001."""
    squash = squash_for(Box(-2.3, 1.37, (1,)))
    assert squash.space.contains(squash(np.float32([[30]]))[0])


def test_scores_that_are_no_numbers_choose_nothing() -> None:
    actions = squash_for(Discrete(3))(np.array([[0, np.nan, 1], [0, 2, 1]], np.float32))
    assert not np.isfinite(actions[0]).all()  # which whoever plays refuses
    assert actions[1].tolist() == [0, 1, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("space", [CAR, Discrete(3)])
def test_an_action_that_is_not_finite_never_reaches_the_game(space: gym.Space, bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        played(space, [0, bad, 0])


@pytest.mark.parametrize(
    "space",
    [
        Box(-np.inf, np.inf, (2,)),
        Box(0, np.inf, (2,)),
        Box(-3.4e38, 3.4e38, (2,)),
        Box(-1, 1, (2, 2)),
        Box(-1, 1, (0,)),
        Box(-1, 1, ()),
        Dict(a=CAR),
        Text(3),
    ],
)
def test_a_space_that_cannot_be_mapped_is_refused(space: gym.Space) -> None:
    with pytest.raises(UserError, match="cannot be mapped"):
        squash_for(space)


@pytest.mark.parametrize(
    ("space", "kinds", "why"),
    [
        (CAR, ["tanh"], "names 1 outputs, but the game takes 3"),
        (CAR, ["half", "half", "clip"], "action 0 of the game is -1..1"),
        (CAR, ["clip", "half", "clip"], "action 0 of the game is -1..1"),
        (Discrete(2), ["tanh", "tanh"], "discrete"),
    ],
)
def test_a_squash_that_does_not_fit_the_game_is_refused(space: gym.Space, kinds: list[str], why: str) -> None:
    with pytest.raises(UserError, match=why):
        squash_for(space, kinds)


def test_random_actions_are_of_the_space() -> None:
    squash, source = squash_for(CAR), np.random.default_rng(0)
    drawn = np.stack([squash.random(source) for _ in range(2000)])
    assert all(CAR.contains(action) for action in drawn)
    assert np.allclose(drawn.mean(0), [0, 0.5, 0.5], atol=0.05)


@pytest.mark.parametrize("space", [CAR, Discrete(3), MultiDiscrete([3, 2])])
def test_a_games_own_space_is_mapped_back(space: gym.Space) -> None:
    assert squash_for(squash_for(space).native_space) == squash_for(space)
    assert squash_for(space).native_space == space


def test_choices_by_number_are_one_hot_and_back() -> None:
    squash = squash_for(MultiDiscrete([3, 2]))
    numbers = np.array([[0, 0], [2, 1], [1, 0]])
    actions = squash.of_picks(numbers)
    assert actions.dtype == np.float32
    assert actions.tolist() == [[1, 0, 0, 1, 0], [0, 0, 1, 0, 1], [0, 1, 0, 1, 0]]
    assert np.array_equal(squash.picks(actions), numbers)


def test_equal_scores_choose_the_first() -> None:
    assert Squash((0.0,) * 2, (1.0,) * 2, choices=(2,))(np.zeros((1, 2))).tolist() == [[1, 0]]
