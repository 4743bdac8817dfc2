"""One dream and one game, step by step."""

import numpy as np
import pytest
import torch
from visiting import COMPUTE, COUNTING, random_agent

from worldmodels.playground.scene import Dream, Game
from worldmodels.render.follow import most_probable

ACTION = np.array([0.25], np.float32)


def dreamt(dream: Dream, seed: int, temperature: float = 1.0, steps: int = 8) -> np.ndarray:
    first = dream.begin(seed).clone()
    return torch.cat([first, *(dream.step(ACTION, temperature).clone() for _ in range(steps))]).numpy()


def test_a_dream_is_a_function_of_seed_and_actions(agent):
    one, other = Dream(agent), Dream(agent)
    assert np.array_equal(dreamt(one, 5), dreamt(other, 5))
    assert np.array_equal(dreamt(one, 5), dreamt(one, 5))
    assert not np.array_equal(dreamt(one, 5), dreamt(one, 6))


def test_the_temperature_acts_at_once(agent):
    dream = Dream(agent)
    same = [dreamt(dream, 5, temperature=0.0, steps=3) for _ in range(2)]
    assert np.array_equal(*same)
    dream.begin(5)
    dream.step(ACTION, 0.0)
    assert dream.entropy == 0
    assert not dream.doubt.any()
    dream.step(ACTION, 1.0)
    warm = dream.entropy
    dream.step(ACTION, 5.0)
    assert 0 < warm < dream.entropy <= np.log(agent.memory.config.mixtures) + 1e-6


def test_at_zero_m_is_taken_at_its_word(agent):
    dream = Dream(agent)
    dream.begin(5)
    z = dream.step(ACTION, 0.0)
    with torch.inference_mode():
        expected = most_probable(agent.memory.predict(dream._world.state.h).mixture)
    assert torch.allclose(z, expected, atol=1e-6)


def test_rewards_add_up_and_ends_end(agent, mortal):
    dream = Dream(agent)
    dream.begin(1)
    assert (dream.steps, dream.reward, dream.done, dream.entropy, dream.over) == (0, None, None, None, False)
    total = 0.0
    for _ in range(5):
        dream.step(ACTION, 1.0)
        total += dream.reward
    assert dream.total == pytest.approx(total)
    assert dream.steps == 5
    assert dream.done == pytest.approx(1 / (1 + np.exp(20.0)), rel=1e-3)
    doomed = Dream(mortal)
    doomed.begin(1)
    doomed.step(ACTION, 1.0)
    assert doomed.over


def test_m_without_heads_has_no_score(agent):
    plain = random_agent(COUNTING)
    plain.memory.config = agent.memory.config.__class__(hidden=8)
    dream = Dream(plain)
    dream.begin(1)
    dream.step(ACTION, 1.0)
    assert (dream.reward, dream.done) == (None, None)


def test_a_game_is_followed(agent):
    game = Game(agent, COMPUTE)
    game.begin(4)  # five steps long
    assert game.frame[0, 0, 0] == 0
    for step in range(5):
        assert not game.over
        game.step(ACTION)
        assert game.frame[0, 0, 0] == step + 1
        assert game.reward == step + 0.0625
    assert game.over
    assert game.steps == 5
    game.close()


def test_dreaming_on_begins_at_the_games_moment(agent):
    """The dream's first latent is V's, and its next is what M, having followed the game, expects."""
    game, dream = Game(agent, COMPUTE), Dream(agent)
    game.begin(8)
    for _ in range(3):
        game.step(ACTION)
    assert np.allclose(dream.begin(0, game.here())[0].numpy(), game.z)
    ahead = dream.step(ACTION, 0.0)
    game.step(ACTION)
    with torch.inference_mode():
        expected = most_probable(agent.memory.predict(game._eyes.state.h).mixture)
    assert torch.allclose(ahead, expected, atol=1e-6)
    game.close()


def test_a_first_moment_is_marked_as_one(agent):
    game = Game(agent, COMPUTE)
    game.begin(8)
    assert game.here().first.all()
    game.step(ACTION)
    assert not game.here().first.any()
    game.close()
