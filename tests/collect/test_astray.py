import dataclasses

import numpy as np
import pytest
from counting import tiny_config
from scipy import stats

from worldmodels.agent import Agent
from worldmodels.collect.astray import Straying, StrayingAgent, chance_to_stray, varied
from worldmodels.collect.jobs import PlayAgent
from worldmodels.config import CollectConfig
from worldmodels.envs.actions import Squash

SQUASH = Squash((-1.0, -1.0), (1.0, 1.0), clip=(False, False))
RAW = np.array([0.3, -0.7], np.float32)


def acted(steps: int, seed: int = 1, **options: object) -> np.ndarray:
    """What becomes of constant outputs."""
    straying = Straying(SQUASH, CollectConfig(**options), np.random.default_rng(seed))
    return np.stack([straying.act(RAW) for _ in range(steps)])


def test_an_agent_that_does_not_stray_does_what_it_would() -> None:
    assert np.array_equal(acted(50, noise=0, astray=0), np.tile(SQUASH(RAW[None]), (50, 1)))


def test_noise_is_correlated_and_as_strong_as_its_episode_says() -> None:
    strengths = []
    for seed in range(200):
        raw = np.arctanh(acted(400, seed, noise=0.8, astray=0, correlation=0.5).astype(np.float64)) - RAW
        strengths.append(raw.std())
        if seed == 0:
            assert np.corrcoef(raw[1:, 0], raw[:-1, 0])[0, 1] == pytest.approx(0.5, abs=0.15)
    assert np.mean(strengths) == pytest.approx(0.4, abs=0.05)  # uniform below 0.8
    assert min(strengths) < 0.05
    assert 0.75 < max(strengths) < 0.9


@pytest.mark.parametrize(("share", "hold"), [(0.2, (1, 10)), (0.5, (3, 3)), (0.1, (1, 100)), (0.9, (1, 1))])
def test_the_asked_share_of_steps_is_astray(share: float, hold: tuple[int, int]) -> None:
    own = SQUASH(RAW[None])[0]
    strayed = (acted(60_000, noise=0, astray=share, hold=hold) != own).any(1)
    assert strayed.mean() == pytest.approx(share, abs=0.03)


def test_without_a_share_there_is_no_chance() -> None:
    assert chance_to_stray(0, (1, 10)) == 0


def test_lanes_stray_by_the_seeds_of_their_episodes(tiny_agent: Agent) -> None:
    policy = StrayingAgent(tiny_agent, CollectConfig(), lanes=3, seeds=(7, 8, 7))
    for lane, seed in enumerate((7, 8, 7)):
        policy.begin(lane, lane, seed)
    seen = np.ones((3, tiny_agent.form.features), np.float32)
    actions = np.stack([policy.act(seen) for _ in range(20)])
    assert np.array_equal(actions[:, 0], actions[:, 2])
    assert not np.array_equal(actions[:, 0], actions[:, 1])


def test_parameters_vary_by_episode_up_to_the_asked_strength() -> None:
    parameters = np.arange(5000, dtype=np.float32)
    noises = np.stack([varied(parameters, 0.3, seed) - parameters for seed in range(200)])
    strengths = noises.std(1)
    assert stats.kstest(strengths, stats.uniform(0, 0.3).cdf).pvalue > 0.01
    assert stats.kstest(noises[7] / strengths[7], "norm").pvalue > 0.01
    assert np.abs(np.corrcoef(noises[:20]) - np.eye(20)).max() < 0.08
    assert np.array_equal(varied(parameters, 0.3, 7) - parameters, noises[7])
    assert np.array_equal(varied(parameters, 0.0, 7), parameters)


def test_an_episodes_variation_is_what_acts_in_it(tiny_agent: Agent) -> None:
    seeds = (7, 8, 9)
    policy = StrayingAgent(tiny_agent, CollectConfig(noise=0, astray=0, sigma=0.5), lanes=2, seeds=seeds)
    seen = np.random.default_rng(1).normal(size=(2, tiny_agent.form.features)).astype(np.float32)
    for lane, item in ((0, 2), (1, 0)):
        policy.begin(lane, item, seeds[item])
    own = [dataclasses.replace(tiny_agent, parameters=varied(tiny_agent.parameters, 0.5, seed)) for seed in (9, 7)]
    expected = [agent.policy(1, 1).act(features[None])[0] for agent, features in zip(own, seen, strict=True)]
    assert policy.act(seen) == pytest.approx(np.stack(expected))


def test_an_agent_that_does_not_stray_plays_as_it_is_evaluated(tiny_agent: Agent) -> None:
    config = dataclasses.replace(tiny_config(), collect=CollectConfig(policy="agent", noise=0, astray=0))
    seeds = [11, 12, 13]
    episodes = PlayAgent(config, tiny_agent)(seeds)
    world = tiny_agent.real_world(3, config.compute)
    policy = tiny_agent.policy(3, 3)
    features, _ = world.reset(seed=seeds)
    for lane, seed in enumerate(seeds):
        policy.begin(lane, lane, seed)
    for step in range(max(map(len, episodes))):
        actions = policy.act(features)
        for lane in np.flatnonzero(~world.over):
            assert np.array_equal(episodes[lane].actions[step], actions[lane])
        features, *_ = world.step(actions)


def test_groups_of_any_size_hold_the_same_episodes(tiny_agent: Agent) -> None:
    config = dataclasses.replace(tiny_config(), collect=CollectConfig(policy="agent", sigma=0.5))
    play = PlayAgent(config, tiny_agent)
    together = play([21, 22, 23])
    for seed, expected in zip([21, 22, 23], together, strict=True):
        (alone,) = play([seed])
        assert alone.seed == seed
        assert alone.frames == expected.frames
        assert np.array_equal(alone.actions, expected.actions)
        assert np.array_equal(alone.rewards, expected.rewards)


def test_the_step_limit_of_recorded_episodes_holds(tiny_agent: Agent) -> None:
    config = dataclasses.replace(tiny_config(), collect=CollectConfig(policy="agent", max_steps=2))
    for episode in PlayAgent(config, tiny_agent)([8, 17, 26]):  # of 9 steps each
        assert len(episode) == 2
        assert (episode.terminated, episode.truncated) == (False, True)
