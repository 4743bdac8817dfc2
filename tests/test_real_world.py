import numpy as np
import pytest
import torch
from counting import COUNT, DIGITS, SCALE, episode_length
from gymnasium.vector import AutoresetMode

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig
from worldmodels.envs.perturbations import Perturbation
from worldmodels.real_world import RealWorld

COMPUTE = ComputeConfig(workers=0, device="cpu", precision="float32")


@pytest.fixture
def world(tiny_agent: Agent) -> RealWorld:
    return tiny_agent.real_world(3, COMPUTE)


def counts(observation: np.ndarray) -> list[float]:
    return (observation[:, COUNT] * SCALE).tolist()


def act(world: RealWorld) -> np.ndarray:
    return world.step(np.zeros((world.num_envs, 1), np.float32))[0]


def test_lanes_are_reset_by_mask_and_only_by_mask(world: RealWorld) -> None:
    assert world.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    world.reset(seed=[8, 17, 26])  # episodes of 9 steps
    before = act(world)
    after, _ = world.reset(seed=[None, 35, None], options={"reset_mask": np.array([False, True, False])})
    assert counts(after) == [1, 0, 1]
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert not after[1, DIGITS:].any()
    assert counts(act(world)) == [2, 1, 2]


def test_a_lane_that_is_over_stands_still(world: RealWorld) -> None:
    world.reset(seed=[0, 1, 8])  # 1, 2 and 9 steps
    assert [episode_length(s) for s in (0, 1, 8)] == [1, 2, 9]
    ends = []
    for _ in range(4):
        observation, rewards, terminated, truncated, _ = world.step(np.zeros((3, 1), np.float32))
        ends.append((terminated | truncated).tolist())
    assert ends == [[True, False, False], [False, True, False], [False] * 3, [False] * 3]
    assert counts(observation) == [1, 2, 4]
    assert rewards.tolist() == [0, 0, 3]


def test_a_mask_of_no_lanes_changes_nothing(world: RealWorld) -> None:
    before, _ = world.reset(seed=1)
    after, _ = world.reset(seed=2, options={"reset_mask": np.zeros(3, bool)})
    assert np.array_equal(before, after)


def test_observations_fit_their_space(world: RealWorld) -> None:
    observation, _ = world.reset(seed=1)
    assert world.observation_space.contains(observation)
    assert world.action_space.shape == (3, 1)


def test_a_world_without_a_world_model_shows_nothing(tiny_agent: Agent) -> None:
    observation, _ = tiny_agent.real_world(2, COMPUTE, blind=True).reset(seed=1)
    assert observation.shape == (2, 0)


def test_the_agent_remembers_the_action_that_it_meant(tiny_agent: Agent) -> None:
    states = []
    for perturbation in (None, Perturbation.parse("action_noise:0.5")):
        world = tiny_agent.real_world(1, COMPUTE, perturbation=perturbation)
        world.reset(seed=[8])
        _, rewards, *_ = world.step(np.full((1, 1), 0.25, np.float32))
        states.append((world.world_model.state.h.clone(), float(rewards[0])))  # type: ignore[union-attr]
    (h, reward), (h_noisy, reward_noisy) = states
    assert torch.equal(h, h_noisy)
    assert reward != reward_noisy
