import numpy as np
import pytest
import torch
from dreaming import BOX, DISCRETE, PAIRS, Z, interface_of
from gymnasium.error import ResetNeeded

from worldmodels.dream import DreamEnv
from worldmodels.envs.actions import Squash
from worldmodels.vision.base import picture


def played(env: DreamEnv, seed: int | None, steps: int = 8) -> list:
    """All that is seen of some steps of an episode, whose actions are drawn from a stream of their own."""
    env.action_space.seed(3)
    seen = [env.reset(seed=seed)]
    while len(seen) < steps and not (len(seen) > 1 and any(seen[-1][2:4])):
        seen.append(env.step(env.action_space.sample()))
    return seen


def alike(one: list, other: list) -> bool:
    if len(one) != len(other):
        return False
    return all(np.array_equal(a[0], b[0]) and a[1:] == b[1:] for a, b in zip(one, other, strict=True))


def test_the_seed_decides_this_dream_and_those_that_follow() -> None:
    env = DreamEnv(interface_of())
    first = [played(env, 7), played(env, None), played(env, None)]
    again = [played(env, 7), played(env, None), played(env, None)]
    assert all(alike(a, b) for a, b in zip(first, again, strict=True))
    assert not alike(first[0], first[1])
    assert not alike(first[1], first[2])
    assert not alike(first[0], played(env, 8))


def test_what_is_observed_is_what_c_sees() -> None:
    interface = interface_of(ends=-50)
    env = DreamEnv(interface)
    observation, _ = env.reset(seed=1)
    other = interface_of(ends=-50).dreams
    seed = int(np.random.Generator(np.random.PCG64(np.random.SeedSequence(1))).integers(2**62))
    expected, _ = other.reset(seed=[seed])
    assert np.array_equal(observation, expected[0])
    for action in ([0.5, 1.0], [-1.0, 3.0]):
        observation, reward, *_ = env.step(np.array(action))
        expected, rewards, *_ = other.step(np.array([action], np.float32))
        assert np.array_equal(observation, expected[0])
        assert reward == rewards[0]


def test_frames_are_what_v_decodes() -> None:
    features, frames = DreamEnv(interface_of()), DreamEnv(interface_of(observation="frames"), "rgb_array")
    z, _ = features.reset(seed=2)
    frame, _ = frames.reset(seed=2)
    expected = picture(interface_of().vision, torch.from_numpy(z[None, :Z]))[0]
    assert np.array_equal(frame, expected)
    assert np.array_equal(frames.render()[::4, ::4], expected)
    assert frames.render().shape == (256, 256, 3)
    assert frames.observation_space.contains(frame)


def test_actions_beyond_their_bounds_count_as_the_nearest() -> None:
    env = DreamEnv(interface_of())
    seen = []
    for action in ([9.0, -9.0], [1.0, 0.0], [1.0, 0.5]):
        env.reset(seed=3)
        seen.append(env.step(np.array(action))[0])
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])


@pytest.mark.parametrize(
    ("squash", "action", "vector"),
    [(DISCRETE, 2, [0, 0, 1]), (DISCRETE, np.int64(0), [1, 0, 0]), (PAIRS, np.array([1, 0]), [0, 1, 1, 0, 0])],
)
def test_a_choice_reaches_m_in_its_one_hot_form(squash: Squash, action: object, vector: list[int]) -> None:
    interface = interface_of(squash=squash)
    assert interface.actions(np.asarray(action)[None]).tolist() == [vector]
    env = DreamEnv(interface)
    env.reset(seed=1)
    assert env.action_space.contains(action)
    env.step(action)


@pytest.mark.parametrize(
    ("squash", "action"),
    [
        (BOX, [0.0]),
        (BOX, [0.0, np.nan]),
        (BOX, [[0.0, 0.0]]),
        (DISCRETE, 3),
        (DISCRETE, -1),
        (DISCRETE, [1]),
        (PAIRS, [2, 0]),
        (PAIRS, 1),
    ],
)
def test_what_is_no_action_is_refused(squash: Squash, action: object) -> None:
    env = DreamEnv(interface_of(squash=squash))
    env.reset(seed=1)
    with pytest.raises(ValueError, match=r"action|choice"):
        env.step(np.array(action))


def test_the_step_limit_truncates_and_the_done_head_terminates() -> None:
    for ends, last in ((-50.0, (False, True)), (50.0, (True, False))):
        env = DreamEnv(interface_of(ends=ends, max_steps=3))
        seen = played(env, 1)
        assert len(seen) == (4 if ends < 0 else 2)
        assert seen[-1][2:4] == last
        assert not any(flag for step in seen[1:-1] for flag in step[2:4])


def test_a_dream_that_is_over_or_not_begun_cannot_go_on() -> None:
    env = DreamEnv(interface_of(max_steps=1), "rgb_array")
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())
    with pytest.raises(ResetNeeded):
        env.render()
    env.reset(seed=1)
    env.step(env.action_space.sample())
    with pytest.raises(ResetNeeded, match="is over"):
        env.step(env.action_space.sample())
    env.reset()
    env.step(env.action_space.sample())


def test_there_is_no_picture_unless_it_was_asked_for() -> None:
    env = DreamEnv(interface_of())
    env.reset(seed=1)
    assert env.render() is None
