import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy import stats

from worldmodels.calibration.policies import Cast, ConstantAction, HeldActions, constant_actions, scripted_policies
from worldmodels.config import TaskConfig
from worldmodels.envs.actions import Squash, squash_for
from worldmodels.noise import uniform
from worldmodels.play import Policy

BOX = Squash((-1.0, 0.0), (1.0, 3.0), clip=(False, False))
DISCRETE = squash_for(gym.spaces.Discrete(4))


def acted(policy: Policy, lane: int, steps: int, lanes: int) -> np.ndarray:
    """A lane's actions."""
    nothing = np.zeros((lanes, 0), np.float32)
    return np.array([policy.act(nothing)[lane] for _ in range(steps)])


@pytest.mark.parametrize("squash", [BOX, DISCRETE])
@pytest.mark.parametrize("hold", [(1, 1), (1, 10), (50, 400)])
def test_what_is_done_depends_on_the_episodes_seed_alone(squash: Squash, hold: tuple[int, int]) -> None:
    alone = HeldActions(squash, hold, 1)
    alone.begin(0, 5, seed=1_000_003)
    expected = acted(alone, 0, 120, 1)
    many = HeldActions(squash, hold, 4)
    for lane in range(4):
        many.begin(lane, lane, seed=70 + lane)
    acted(many, 0, 37, 4)
    many.begin(2, 9, seed=1_000_003)
    assert np.array_equal(acted(many, 2, 120, 4), expected)


def holds(actions: np.ndarray) -> np.ndarray:
    """How long each action was held but the last, which is cut off."""
    changes = np.flatnonzero((actions[1:] != actions[:-1]).any(1)) + 1
    return np.diff(np.concatenate([[0], changes]))


@pytest.mark.parametrize("hold", [(1, 10), (50, 400)])
def test_holds_are_log_uniform_between_their_bounds(hold: tuple[int, int]) -> None:
    policy = HeldActions(BOX, hold, 64)
    for lane in range(64):
        policy.begin(lane, lane, lane)
    nothing = np.zeros((64, 0), np.float32)
    actions = np.stack([policy.act(nothing) for _ in range(100 * hold[0] + 2000)], 1)  # (B, T, A)
    # the first few of each lane only: later ones that fit into the time would be the shorter ones
    drawn = np.concatenate([holds(lane)[:4] for lane in actions])
    assert (drawn.min(), drawn.max()) >= (hold[0], hold[0])
    assert drawn.max() <= hold[1]
    lengths = np.arange(hold[0], hold[1] + 1)
    mass = np.log((lengths + 1) / lengths) / np.log((hold[1] + 1) / hold[0])
    cumulative = np.cumsum(mass)
    observed = np.array([(drawn <= length).mean() for length in lengths])
    assert np.abs(observed - cumulative).max() < 1.63 / np.sqrt(len(drawn))  # Kolmogorov and Smirnov, 1 %


def test_actions_are_uniform_and_new_at_every_step() -> None:
    policy = HeldActions(BOX, (1, 1), 500)
    for lane in range(500):
        policy.begin(lane, lane, lane)
    nothing = np.zeros((500, 0), np.float32)
    first, second = policy.act(nothing), policy.act(nothing)
    for entry, (low, high) in enumerate(zip(BOX.low, BOX.high, strict=True)):
        for actions in (first, second):
            assert stats.kstest(actions[:, entry], "uniform", (low, high - low)).pvalue > 0.001
    assert abs(np.corrcoef(np.column_stack([first, second]).T) - np.eye(4)).max() < 4 / np.sqrt(500)


def test_choices_are_one_hot_and_equally_frequent() -> None:
    policy = HeldActions(DISCRETE, (1, 1), 800)
    for lane in range(800):
        policy.begin(lane, lane, lane)
    actions = policy.act(np.zeros((800, 0), np.float32))
    assert (actions.sum(1) == 1).all()
    assert stats.chisquare(actions.sum(0)).pvalue > 0.001


def test_a_policys_noise_is_not_that_of_its_dream() -> None:
    policy = HeldActions(Squash((0.0,), (1.0,), clip=(False,)), (1, 1), 300)
    seeds = torch.arange(300)
    for lane in range(300):
        policy.begin(lane, lane, lane)
    own = policy.act(np.zeros((300, 0), np.float32))[:, 0]
    for step in (-1, 0, 1):
        dream = uniform(seeds, torch.full_like(seeds, step), 8).numpy()
        correlations = [abs(np.corrcoef(own, dream[:, index])[0, 1]) for index in range(8)]
        assert max(correlations) < 4 / np.sqrt(300)


CAR = TaskConfig(explore_mean=(0.0, 0.4, -0.8), squash=("tanh", "half", "clip"))
CAR_SPACE = gym.spaces.Box(np.array([-1.0, 0.0, 0.0]), np.ones(3), dtype=np.float64)


@pytest.mark.parametrize(
    ("task", "space", "expected"),
    [
        (TaskConfig(), gym.spaces.Box(-1, 1, (1,)), {"still": [0], "always -1": [-1], "always 1": [1]}),
        (TaskConfig(), gym.spaces.Box(2, 3, (1,)), {"still": [2], "always 3": [3]}),
        (
            TaskConfig(),
            gym.spaces.Discrete(3, start=5),
            {"always 0": [1, 0, 0], "always 1": [0, 1, 0], "always 2": [0, 0, 1]},
        ),
        (
            TaskConfig(),
            gym.spaces.MultiDiscrete([2, 3]),
            {
                "always 0, 0": [1, 0, 1, 0, 0],
                "always 1, 0": [0, 1, 1, 0, 0],
                "always 0, 1": [1, 0, 0, 1, 0],
                "always 0, 2": [1, 0, 0, 0, 1],
            },
        ),
        (
            CAR,
            CAR_SPACE,
            {
                "still": [0, 0, 0],
                "always -1, 0.69, 0": [-1, 0.69, 0],
                "always 1, 0.69, 0": [1, 0.69, 0],
                "always 0, 1, 0": [0, 1, 0],
                "always 0, 0.69, 0": [0, 0.69, 0],
                "always 0, 0.69, 1": [0, 0.69, 1],
            },
        ),
    ],
)
def test_extremes_are_held_one_by_one_and_none_of_them_twice(
    task: TaskConfig, space: gym.Space, expected: dict[str, list[float]]
) -> None:
    squash = squash_for(space, task.squash)
    named = constant_actions(task, squash)
    assert list(named) == list(expected)
    for name, action in named.items():
        assert np.allclose(action, expected[name], atol=0.005)
        assert squash.space.contains(action)
    assert list(scripted_policies(task, squash)) == ["new every step", "held 1-10", "held 50-400", *expected]


def test_every_item_of_a_cast_is_played_by_its_own_policy() -> None:
    policies = [ConstantAction(np.array([float(number)], np.float32), 2) for number in range(3)]
    cast = Cast(policies, np.array([2, 0, 1, 2]), 2)
    cast.begin(0, 3, seed=1)
    cast.begin(1, 1, seed=1)
    assert cast.act(np.zeros((2, 0), np.float32)).tolist() == [[2], [0]]
    cast.begin(0, 2, seed=1)
    assert cast.act(np.zeros((2, 0), np.float32)).tolist() == [[1], [0]]
