import dataclasses

import numpy as np
import pytest
import torch
from counting import tiny_config
from scipy import stats

from worldmodels.config import CollectConfig, TaskConfig
from worldmodels.envs.actions import Squash
from worldmodels.exploration.policies import Held, Noise, Uniform, policy_maker
from worldmodels.exploration.random_agent import RandomAgent

BLANK = np.zeros((64, 64, 3), np.uint8)
SQUASH = Squash((-1.0, 0.0), (1.0, 4.0), clip=(False, False))
CHOICE = Squash((0.0,) * 5, (1.0,) * 5, choices=(3, 2))


def acted(policy: object, steps: int) -> np.ndarray:
    return np.stack([policy.act(BLANK) for _ in range(steps)])


def random(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_correlated_noise_has_the_asked_mean_variance_and_correlation() -> None:
    actions = acted(Noise(SQUASH, np.array([0.5, 0.0]), 0.9, random()), 40_000)
    raw = np.arctanh(np.clip(actions[:, 0], -1 + 1e-7, 1 - 1e-7).astype(np.float64))
    assert raw.mean() == pytest.approx(0.5, abs=0.1)
    assert raw.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(raw[1:], raw[:-1])[0, 1] == pytest.approx(0.9, abs=0.02)
    assert abs(np.corrcoef(actions.T)[0, 1]) < 0.1


def test_uniform_actions_are_uniform_within_the_bounds() -> None:
    actions = acted(Uniform(SQUASH, random()), 5000)
    assert stats.kstest(actions[:, 0], "uniform", (-1, 2)).pvalue > 0.01
    assert stats.kstest(actions[:, 1], "uniform", (0, 4)).pvalue > 0.01


def test_uniform_choices_are_one_hot_and_as_likely() -> None:
    actions = acted(Uniform(CHOICE, random()), 3000)
    assert (actions[:, :3].sum(1) == 1).all()
    assert (actions[:, 3:].sum(1) == 1).all()
    assert stats.chisquare(actions[:, :3].sum(0)).pvalue > 0.01
    assert stats.chisquare(actions[:, 3:].sum(0)).pvalue > 0.01


def holds(actions: np.ndarray) -> np.ndarray:
    """How long each action was held, but for the last."""
    changes = np.flatnonzero((actions[1:] != actions[:-1]).any(1)) + 1
    return np.diff([0, *changes])


def test_held_actions_last_from_the_shortest_to_the_longest_hold() -> None:
    lengths = holds(acted(Held(SQUASH, (2, 10), random()), 20_000))
    assert set(lengths) == set(range(2, 11))
    expected = np.diff(np.log(np.arange(2, 12))) / np.log(11 / 2) * len(lengths)  # log-uniform
    assert stats.chisquare(np.bincount(lengths)[2:], expected).pvalue > 0.01


def test_a_hold_of_one_is_a_new_action_every_step() -> None:
    assert (holds(acted(Held(SQUASH, (1, 1), random()), 100)) == 1).all()


@pytest.mark.parametrize("policy", ["correlated", "uniform", "held", "random_agent"])
def test_a_policy_is_a_function_of_its_seed(policy: str) -> None:
    config = dataclasses.replace(
        tiny_config(), collect=CollectConfig(policy=policy), task=TaskConfig(explore_mean=(0.0,))
    )
    squash = Squash((-1.0,), (1.0,), clip=(False,))
    torch.manual_seed(1)
    make = policy_maker(config)
    one = acted(make(squash, 3), 20)
    torch.manual_seed(2)
    assert np.array_equal(acted(make(squash, 3), 20), one)
    assert not np.array_equal(acted(make(squash, 4), 20), one)


def test_a_random_agent_sees_and_remembers() -> None:
    agent = RandomAgent(tiny_config().vision, tiny_config().memory, Squash((-1.0,), (1.0,), clip=(False,)), seed=1)
    still = acted(agent, 4)
    white = agent.act(np.full((64, 64, 3), 255, np.uint8))
    assert len(np.unique(still)) > 1  # M's state goes on though the frame stays
    assert not np.isclose(white, still[-1]).all()
