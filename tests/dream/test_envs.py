"""Dreams side by side against the oracle: Gymnasium's own `SyncVectorEnv` over single dreams."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from dreaming import BOX, DISCRETE, PAIRS, interface_of
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from worldmodels.dream import DreamEnv, DreamEnvs
from worldmodels.envs.actions import Squash

LANES = 3
MODES = list(AutoresetMode)


def envs_of(mode: AutoresetMode, **options: Any) -> DreamEnvs:
    return DreamEnvs(interface_of(LANES, **options), mode, "rgb_array", fps=30.0)


def oracle_of(mode: AutoresetMode, **options: Any) -> SyncVectorEnv:
    singles = [lambda: DreamEnv(interface_of(1, **options), "rgb_array", fps=30.0)] * LANES
    return SyncVectorEnv(singles, autoreset_mode=mode)


def assert_same(one: Any, other: Any) -> None:
    """Equal in structure and in value; V rounds a frame by how many others it decodes."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, np.ndarray) and one.dtype == object:
        assert_same(tuple(one), tuple(other))
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        if one.dtype == np.uint8:
            assert np.abs(one.astype(int) - other).max() <= 1
        else:
            assert np.array_equal(one, other)
    else:
        assert one == other


def journey(envs: VectorEnv, steps: int, mode: AutoresetMode) -> list[Any]:
    """All that is seen on a way with many ends, a reset in the midst of it included."""
    envs.action_space.seed(11)
    seen: list[Any] = [envs.reset(seed=40)]
    for step in range(steps):
        seen.append(envs.step(envs.action_space.sample()))
        ended = seen[-1][2] | seen[-1][3]
        if mode == AutoresetMode.DISABLED and ended.any():
            seen.append(envs.reset(options={"reset_mask": ended}))
        if step == steps // 2:
            seen.append(envs.reset(seed=[5, None, 6]))
        if step == 2 * steps // 3:
            seen.append(envs.reset(seed=9, options={"reset_mask": np.array([True, False, True])}))
        if step % 6 == 0:
            seen.append(envs.render())
    return seen


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("observation", ["features", "frames"])
@pytest.mark.parametrize("squash", [BOX, DISCRETE, PAIRS])
def test_dreams_side_by_side_are_those_of_single_environments(
    mode: AutoresetMode, observation: str, squash: Squash
) -> None:
    options: dict[str, Any] = {"observation": observation, "squash": squash, "max_steps": 6, "ends": -1.5}
    seen, expected = (journey(make(mode, **options), 24, mode) for make in (envs_of, oracle_of))
    assert_same(tuple(seen), tuple(expected))
    steps_seen = [entry for entry in seen if len(entry) == 5]
    assert sum(entry[2].sum() for entry in steps_seen) >= 3
    assert sum(entry[3].sum() for entry in steps_seen) >= 1
    if mode == AutoresetMode.SAME_STEP:
        assert any("final_obs" in entry[4] for entry in steps_seen)


@pytest.mark.parametrize("mode", MODES)
def test_spaces_and_metadata_are_those_of_single_environments(mode: AutoresetMode) -> None:
    for squash in (BOX, DISCRETE, PAIRS):
        envs, expected = envs_of(mode, squash=squash), oracle_of(mode, squash=squash)
        for name in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
            assert getattr(envs, name) == getattr(expected, name)
        assert envs.metadata == expected.metadata
        assert (envs.num_envs, envs.render_mode) == (LANES, "rgb_array")


def test_streams_of_seeds_are_those_of_single_environments() -> None:
    envs, expected = envs_of(AutoresetMode.NEXT_STEP), oracle_of(AutoresetMode.NEXT_STEP)
    for made in (envs, expected):
        made.reset(seed=[1, 2, 1])
    assert envs.np_random_seed == expected.np_random_seed == (1, 2, 1)
    drawn = [[random.integers(2**62) for random in made.np_random] for made in (envs, expected)]
    assert drawn[0] == drawn[1]


def test_without_a_seed_dreams_differ() -> None:
    envs = envs_of(AutoresetMode.NEXT_STEP)
    first, _ = envs.reset()
    second, _ = envs_of(AutoresetMode.NEXT_STEP).reset()
    assert len({row.tobytes() for row in (*first, *second)}) == 2 * LANES


@pytest.mark.parametrize("observation", ["features", "frames"])
def test_observations_are_the_users_own(observation: str) -> None:
    envs, untouched = (envs_of(AutoresetMode.NEXT_STEP, observation=observation) for _ in range(2))
    actions = np.full(envs.action_space.shape, 0.5, np.float32)
    for step in range(4):
        seen, expected = (made.step(actions)[0] if step else made.reset(seed=1)[0] for made in (envs, untouched))
        assert_same(seen, expected)
        seen[:] = 7
        assert_same(envs.render(), untouched.render())


@pytest.mark.parametrize(
    "mask",
    [[True, False, True], np.ones(2, bool), np.array([1, 0, 1]), np.zeros(LANES, bool), np.ones((LANES, 1), bool)],
)
def test_what_is_no_reset_mask_is_refused(mask: Any) -> None:
    with pytest.raises(ValueError, match="reset mask"):
        envs_of(AutoresetMode.DISABLED).reset(options={"reset_mask": mask})


def test_a_wrong_number_of_seeds_is_refused() -> None:
    with pytest.raises(ValueError, match="3 dreams, but 2 seeds"):
        envs_of(AutoresetMode.DISABLED).reset(seed=[1, 2])


def test_without_autoreset_a_dream_that_is_over_stops_all() -> None:
    envs = envs_of(AutoresetMode.DISABLED, ends=50.0)
    with pytest.raises(ResetNeeded):
        envs.step(envs.action_space.sample())
    with pytest.raises(ResetNeeded):
        envs.render()
    envs.reset(seed=1)
    envs.step(envs.action_space.sample())
    with pytest.raises(ResetNeeded, match=r"\[0, 1, 2\] are over"):
        envs.step(envs.action_space.sample())


def test_gymnasiums_wrappers_fit() -> None:
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs_of(AutoresetMode.NEXT_STEP, max_steps=4, ends=-50.0))
    envs.reset(seed=1)
    for _ in range(4):
        *_, infos = envs.step(envs.action_space.sample())
    assert infos["episode"]["l"].tolist() == [4] * LANES
