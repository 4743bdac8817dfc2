import itertools
from typing import Any

import numpy as np
import pytest
import torch
from counting import COUNT, DIGITS, SCALE, Counting, episode_length, seed_in, succeeds
from gymnasium.vector import VectorEnv

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig
from worldmodels.controller import ControllerForm
from worldmodels.envs.actions import squash_for
from worldmodels.envs.make import make_game
from worldmodels.errors import UserError
from worldmodels.play import CandidatePolicy, Cuts, RandomPolicy, play
from worldmodels.real_world import RealWorld
from worldmodels.seeds import stream
from worldmodels.world_model import WorldModel

SEEDS = np.array([3, 9, 17, 26, 4, 300, 70_000, 12, 18, 5])
SQUASH = squash_for(Counting().action_space)
COMPUTE = ComputeConfig(workers=0, device="cpu", precision="float32")


def random_actions(seed: int) -> np.ndarray:
    """What the random policy does in the counting game's episode."""
    source = stream(seed, "random policy")
    return np.array([SQUASH.random(source)[0] for _ in range(episode_length(seed))], np.float64)


def blind_world(agent: Agent, lanes: int) -> RealWorld:
    return agent.real_world(lanes, COMPUTE, blind=True)


@pytest.mark.parametrize("lanes", [1, 2, 5, 32])
def test_returns_lengths_and_successes_are_exact_whatever_the_number_of_lanes(tiny_agent: Agent, lanes: int) -> None:
    outcomes = play(blind_world(tiny_agent, lanes), RandomPolicy(SQUASH, lanes), SEEDS)
    expected = [np.sum(np.arange(episode_length(s)) + random_actions(s) / 4) for s in SEEDS]
    assert outcomes.returns == pytest.approx(np.array(expected))
    assert outcomes.lengths.tolist() == [episode_length(s) for s in SEEDS]
    assert outcomes.successes.tolist() == [succeeds(s) for s in SEEDS]


def test_an_agents_results_do_not_depend_on_lanes_or_order(tiny_agent: Agent) -> None:
    world = tiny_agent.real_world(4, COMPUTE)
    straight = play(world, tiny_agent.policy(4, len(SEEDS)), SEEDS)
    order = np.random.default_rng(0).permutation(len(SEEDS))
    shuffled = play(world, tiny_agent.policy(4, len(SEEDS)), SEEDS[order])
    alone = play(tiny_agent.real_world(1, COMPUTE), tiny_agent.policy(1, len(SEEDS)), SEEDS)
    assert shuffled.returns == pytest.approx(straight.returns[order], abs=1e-6)
    assert alone.returns == pytest.approx(straight.returns, abs=1e-6)
    assert len(set(straight.returns.tolist())) == len(SEEDS)


class Spy:
    """Acts at random and writes down what each episode was shown and did."""

    def __init__(self, lanes: int) -> None:
        self.policy, self.item = RandomPolicy(SQUASH, lanes), np.full(lanes, -1)
        self.begun: list[tuple[int, int]] = []
        self.seen: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def begin(self, lane: int, item: int, seed: int) -> None:
        self.policy.begin(lane, item, seed)
        self.item[lane] = item
        self.begun.append((item, seed))
        self.seen[item] = []

    def act(self, features: np.ndarray) -> np.ndarray:
        actions = self.policy.act(features)
        for lane, item in enumerate(self.item):
            if item >= 0:
                self.seen[item].append((features[lane].copy(), actions[lane]))
        return actions


def test_every_item_is_begun_once_with_its_own_seed(tiny_agent: Agent) -> None:
    spy = Spy(3)
    play(blind_world(tiny_agent, 3), spy, SEEDS)
    assert sorted(spy.begun) == list(enumerate(SEEDS))


@pytest.mark.parametrize("lanes", [1, 4])
def test_c_sees_the_frame_and_the_memory_of_all_before_it(tiny_agent: Agent, lanes: int) -> None:
    """Features are [z_t, c, h] with M's state from before (z_t, a_t), recomputed here by torch's own LSTM cell."""
    memory, spy = tiny_agent.memory, Spy(lanes)
    play(tiny_agent.real_world(lanes, COMPUTE), spy, SEEDS)
    cell = torch.nn.LSTMCell(DIGITS + 2, memory.config.hidden)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in memory.lstm.state_dict().items()})
    for item, seed in enumerate(SEEDS):
        h = c = torch.zeros(1, memory.config.hidden)
        for t, (features, action) in enumerate(spy.seen[item][: episode_length(seed)]):
            z, rest = features[:DIGITS], features[DIGITS:]
            assert z[COUNT] * SCALE == t
            assert seed_in(z * SCALE) == seed
            assert np.allclose(rest, torch.cat([c, h], 1)[0].detach(), atol=1e-6)
            inputs = torch.tensor([[*z, *action, float(t == 0)]])
            h, c = cell(inputs, (h, c))


class Scripted(VectorEnv):
    """A world that pays what is written for each seed, and goes on for ever."""

    def __init__(self, rewards: dict[int, list[float]], lanes: int) -> None:
        self.rewards, self.num_envs = rewards, lanes
        self.left: list[Any] = [iter(()) for _ in range(lanes)]
        self.over = np.ones(lanes, bool)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        for lane in np.flatnonzero(options["reset_mask"]):
            self.left[lane] = itertools.chain(self.rewards[seed[lane]], itertools.repeat(0.0))
            self.over[lane] = False
        return np.zeros((self.num_envs, 0), np.float32), {}

    def step(self, actions: Any) -> Any:
        nothing = np.zeros(self.num_envs, bool)
        rewards = np.array([0.0 if over else next(left) for over, left in zip(self.over, self.left, strict=True)])
        return np.zeros((self.num_envs, 0), np.float32), rewards, nothing, nothing, {"success": nothing}


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_patience_is_lost_after_so_many_steps_without_a_positive_reward(lanes: int) -> None:
    rewards = {1: [0, 0, 0], 2: [0, 0, 1, -5, 0, 0, 1], 3: [1, 1, 0, -1, 1, 0, 0, 0, 9], 4: [-1, 2, 0, 0, 0]}
    outcomes = play(Scripted(rewards, lanes), RandomPolicy(SQUASH, lanes), np.array([1, 2, 3, 4]), Cuts(patience=3))
    assert outcomes.lengths.tolist() == [3, 6, 8, 5]
    assert outcomes.returns.tolist() == [0, -4, 2, 1]


def test_a_training_episode_is_cut_at_its_step_limit() -> None:
    rewards = {1: [1] * 9, 2: [2] * 9, 3: [3] * 9}
    outcomes = play(Scripted(rewards, 2), RandomPolicy(SQUASH, 2), np.array([1, 2, 3]), Cuts(max_steps=4))
    assert outcomes.lengths.tolist() == [4, 4, 4]
    assert outcomes.returns.tolist() == [4, 8, 12]


def test_a_lane_that_was_cut_begins_its_next_episode_anew(tiny_agent: Agent) -> None:
    world = tiny_agent.real_world(2, COMPUTE)
    spy = Spy(2)
    outcomes = play(world, spy, SEEDS, Cuts(max_steps=2))
    assert outcomes.lengths.tolist() == [min(2, episode_length(s)) for s in SEEDS]
    for item in range(len(SEEDS)):
        first, _ = spy.seen[item][0]
        assert first[COUNT] == 0
        assert not first[DIGITS:].any()


def test_a_return_that_is_not_finite_is_refused() -> None:
    with pytest.raises(UserError, match="return of the episode with seed 1 is not a finite number"):
        play(Scripted({1: [float("nan")]}, 1), RandomPolicy(SQUASH, 1), np.array([1]), Cuts(max_steps=2))


def test_an_action_that_is_not_finite_is_refused(tiny_agent: Agent) -> None:
    form = ControllerForm(0, 1, bias=True)
    broken = CandidatePolicy(form, SQUASH, np.array([[np.nan]]), np.zeros(1, np.int64), 1)
    with pytest.raises(UserError, match="action is not a finite number, at step 0 of the episode with seed 1:"):
        play(blind_world(tiny_agent, 1), broken, np.array([1]))


def test_each_item_is_played_by_its_own_candidate(tiny_agent: Agent) -> None:
    """Candidates that hold a steady action each: their returns tell them apart."""
    form = ControllerForm(0, 1, bias=True)
    steady = np.array([-2.0, 0.0, 0.5])
    players = np.array([0, 1, 2, 2, 0])
    seeds = np.array([7, 7, 7, 16, 16])  # episodes of 8 steps
    policy = CandidatePolicy(form, SQUASH, steady[:, None], players, 2)
    outcomes = play(blind_world(tiny_agent, 2), policy, seeds)
    assert outcomes.returns == pytest.approx(28 + 8 * np.tanh(steady[players]) / 4, abs=1e-5)


def test_no_items_are_no_outcomes(tiny_agent: Agent) -> None:
    outcomes = play(blind_world(tiny_agent, 2), RandomPolicy(SQUASH, 2), np.array([], np.int64))
    assert [len(column) for column in outcomes] == [0, 0, 0]


def test_success_needs_a_key(tiny_agent: Agent) -> None:
    world = RealWorld(lambda: make_game(tiny_agent.task), 1)
    assert not play(world, RandomPolicy(SQUASH, 1), SEEDS).successes.any()


def test_a_world_model_may_sample_its_latents(tiny_agent: Agent) -> None:
    world_model = WorldModel(tiny_agent.vision, tiny_agent.memory, lanes=2, sample=True)
    world = RealWorld(lambda: make_game(tiny_agent.task), 2, world_model)
    observation, _ = world.reset(seed=[3, 4])
    assert seed_in(observation[:, :DIGITS] * SCALE).tolist() == [3, 4]  # the counting V is certain
