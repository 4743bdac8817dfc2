import math

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from scipy import stats

from worldmodels.config import MemoryConfig
from worldmodels.dream import DreamVectorEnv
from worldmodels.envs.actions import Squash
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.mixture import sample
from worldmodels.memory.starts import Starts
from worldmodels.noise import even, normal, uniform

Z, A, H = 5, 2, 16
SQUASH = Squash((-1.0,) * A, (1.0,) * A, clip=(False,) * A)
CERTAIN = -1000.0


def memory_of(reward_head: bool = True, done_head: bool = True, **options: object) -> MDNRNN:
    torch.manual_seed(4)
    return MDNRNN(MemoryConfig(hidden=H, reward_head=reward_head, done_head=done_head, **options), Z, A).eval()


def starts_of(count: int = 1, logvar: float = CERTAIN, first: bool = True) -> Starts:
    torch.manual_seed(5)
    state = torch.zeros(2, count, H) if first else torch.randn(2, count, H)
    return Starts(torch.randn(count, Z), torch.full((count, Z), logvar), *state, torch.full((count,), first))


def dream_of(lanes: int = 4, memory: MDNRNN | None = None, starts: Starts | None = None, **options) -> DreamVectorEnv:
    return DreamVectorEnv(memory or memory_of(), starts or starts_of(6, logvar=0.0), SQUASH, lanes, **options)


def followed(dream: DreamVectorEnv, lane: int, steps: int = 6) -> list[np.ndarray]:
    """A lane's observation, reward and end at every step until it ends, its actions a function of what it observes."""
    observation = dream._observe()
    seen = [observation[lane]]
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = dream.step(np.tanh(observation[:, :A]))
        seen += [observation[lane], reward[lane], terminated[lane], truncated[lane]]
        if terminated[lane] or truncated[lane]:
            break
    return seen


def same(one: list, other: list) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def with_constant_heads(memory: MDNRNN, **values: float) -> MDNRNN:
    """A model whose predictions do not depend on anything."""
    with torch.no_grad():
        memory.head.weight.zero_()
        memory.head.bias.zero_()
        for name, value in values.items():
            memory.head.bias[{"reward": -2, "done": -1}[name]] = value
    return memory


def test_a_dream_is_a_function_of_its_seed() -> None:
    dream = dream_of(4)
    dream.reset(seed=[11, 12, 13, 14])
    first = followed(dream, lane=2)
    dream.reset(seed=[13, 99, 98, 97])
    assert same(followed(dream, lane=0), first)
    dream.reset(seed=[14, 99, 98, 97])
    assert not same(followed(dream, lane=0), first)


def test_a_dream_does_not_depend_on_when_its_lane_began() -> None:
    dream = dream_of(4)
    dream.reset(seed=[1, 2, 3, 4])
    expected = followed(dream, lane=1)
    dream.reset(seed=[7, 8, 9, 10])
    followed(dream, lane=0, steps=4)
    dream.reset(seed=[None, 2, None, None], options={"reset_mask": np.array([False, True, False, False])})
    assert same(followed(dream, lane=1), expected)


@pytest.mark.parametrize("lanes", [1, 2, 3, 8, 63, 64, 65, 200])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_dream_in_a_batch_of_another_width_is_the_same_to_the_bit(lanes: int, precision: torch.dtype) -> None:
    memory = memory_of(done_head=False, restart_input=True)
    one, other = (dream_of(width, memory, precision=precision) for width in (4, lanes))
    one.reset(seed=[5] * 4)
    other.reset(seed=[5] * lanes)
    for lane in range(0, lanes, 7):
        assert same(followed(one, 0), followed(other, lane))
        one.reset(seed=[5] * 4)
        other.reset(seed=[5] * lanes)


@pytest.mark.parametrize("block", [1, 3])
def test_a_dream_in_other_blocks_differs_by_rounding_alone(block: int) -> None:
    memory = memory_of(done_head=False)
    usual, alone, among = dream_of(1, memory), dream_of(1, memory, block=block), dream_of(7, memory, block=block)
    for dream in (usual, alone, among):
        dream.reset(seed=[5] * dream.num_envs)
    expected, seen = followed(usual, 0), followed(alone, 0)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(expected, seen, strict=True))
    assert same(followed(among, 6), seen)


def test_a_dream_is_the_same_when_those_beside_it_have_ended() -> None:
    memory = memory_of(done_head=False)
    alone, among = dream_of(1, memory), dream_of(200, memory)
    alone.reset(seed=[9])
    among.reset(seed=[*range(100, 299), 9])
    expected = followed(alone, 0, 12)
    among.over[:150] = True
    first = followed(among, 199, 6)
    among.over[150:199] = True  # one block is enough from here on
    assert same(first + followed(among, 199, 6)[1:], expected)


def test_the_simulator_is_m_stepped_one_dream_at_a_time() -> None:
    memory = memory_of(restart_input=True)
    dream = dream_of(70, memory, temperature=0.7)
    dream.reset(seed=list(range(70)))
    state, z = memory.initial_state(70), dream.z
    random = np.random.default_rng(3)
    for step in range(5):
        lanes = torch.from_numpy(~dream.over)
        action = random.uniform(-1, 1, (70, A)).astype(np.float32)
        restart = torch.full((70,), float(step == 0))
        state = memory.step(z, torch.from_numpy(action), restart, state)
        expected = memory.predict(state.h)
        numbers = uniform(torch.arange(70), torch.full((70,), step), Z + even(Z) + 1)
        z = sample(expected.mixture, 0.7, numbers[:, :Z], normal(numbers[:, Z:-1])[:, :Z])
        _, reward, terminated, _, _ = dream.step(action)
        assert torch.allclose(dream.z[lanes], z[lanes], atol=1e-5)
        assert torch.allclose(dream.state.h[lanes], state.h[lanes], atol=1e-6)
        assert np.allclose(reward[lanes], expected.reward.detach()[lanes], atol=1e-5)
        assert (terminated == (lanes & (numbers[:, -1] < torch.sigmoid(expected.done))).numpy()).all()


def test_at_temperature_zero_only_the_start_is_drawn() -> None:
    for temperature, alike in ((0.0, True), (1.0, False)):
        dream = dream_of(4, memory_of(done_head=False), starts_of(1), temperature=temperature)
        dream.reset(seed=[1, 2, 3, 4])
        first = followed(dream, 0)
        dream.reset(seed=[5, 6, 7, 8])
        assert same(followed(dream, 1), first) == alike


def test_the_step_limit_truncates() -> None:
    dream = dream_of(3, memory_of(done_head=False), max_steps=4)
    dream.reset(seed=[1, 2, 3])
    cut = [dream.step(np.zeros((3, A), np.float32))[3] for _ in range(6)]
    assert np.array(cut).tolist() == [[False] * 3] * 3 + [[True] * 3] + [[False] * 3] * 2


@pytest.mark.parametrize("logit", [-3.0, -0.5, 1.0])
def test_dreams_end_with_the_probability_that_m_gives(logit: float) -> None:
    lanes = 4000
    dream = dream_of(lanes, with_constant_heads(memory_of(), done=logit))
    dream.reset(seed=list(range(lanes)))
    alive = lanes
    for _ in range(3):
        _, _, terminated, truncated, _ = dream.step(np.zeros((lanes, A), np.float32))
        ended = int(terminated.sum())
        assert stats.binomtest(ended, alive, 1 / (1 + math.exp(-logit))).pvalue > 0.001
        assert not truncated.any()
        alive -= ended


def test_first_latent_component_noise_and_end_are_drawn_apart() -> None:
    """The next latent is one of five far components, a little noisy, so that each draw can be told from it."""
    lanes, memory = 4000, with_constant_heads(memory_of(), done=0.0)
    with torch.no_grad():
        mean, log_sigma = memory.head.bias[:-2].unflatten(0, (3, Z, -1))[1:]
        mean.copy_(torch.arange(5.0).expand_as(mean))
        log_sigma.fill_(-3)
    starts = starts_of(1, logvar=0.0)
    dream = dream_of(lanes, memory, starts)
    first = dream.reset(seed=list(range(lanes)))[0][:, :Z] - starts.mu.numpy()
    following, _, ended, _, _ = dream.step(np.zeros((lanes, A), np.float32))
    component = np.rint(following[:, :Z])
    noise = following[:, :Z] - component
    correlations = np.corrcoef(np.column_stack([first, first**2, component, noise, noise**2, ended]).T)
    assert np.abs(correlations - np.eye(5 * Z + 1)).max() < 4.5 / math.sqrt(lanes)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 1.3])
def test_the_next_latent_is_drawn_from_the_mixture_at_the_temperature(temperature: float) -> None:
    lanes = 4000
    dream = dream_of(lanes, with_constant_heads(memory_of()), temperature=temperature)
    dream.reset(seed=list(range(lanes)))
    observation = dream.step(np.zeros((lanes, A), np.float32))[0]
    for dimension in range(Z):
        assert stats.kstest(observation[:, dimension], "norm", (0, math.sqrt(temperature))).pvalue > 0.001
    assert np.abs(np.corrcoef(observation[:, :Z].T) - np.eye(Z)).max() < 4.5 / math.sqrt(lanes)


def test_the_reward_is_the_expected_one_or_one_a_step() -> None:
    zeros = np.zeros((4, A), np.float32)
    paid = dream_of(4, with_constant_heads(memory_of(), reward=2.5, done=-50.0))
    paid.reset(seed=1)
    assert paid.step(zeros)[1].tolist() == [2.5] * 4
    alive = dream_of(4, memory_of(reward_head=False))
    alive.reset(seed=1)
    assert alive.step(zeros)[1].tolist() == [1.0] * 4


def test_a_lane_that_is_over_earns_nothing_and_does_not_end_again() -> None:
    dream = dream_of(4, with_constant_heads(memory_of(), reward=1.0, done=50.0))
    dream.reset(seed=1)
    zeros = np.zeros((4, A), np.float32)
    assert dream.step(zeros)[2].all()
    _, reward, terminated, truncated, _ = dream.step(zeros)
    assert not reward.any()
    assert not (terminated | truncated).any()


def test_lanes_are_reset_by_mask_and_only_by_mask() -> None:
    dream = dream_of(3, with_constant_heads(memory_of(), done=50.0))
    assert dream.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    dream.reset(seed=[1, 2, 3])
    before = dream.step(np.ones((3, A), np.float32))[0]
    after, _ = dream.reset(seed=[None, 9, None], options={"reset_mask": np.array([False, True, False])})
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert not np.array_equal(after[1], before[1])
    assert dream.step(np.ones((3, A), np.float32))[2].tolist() == [False, True, False]


def test_a_mask_of_no_lanes_changes_nothing() -> None:
    dream = dream_of(2)
    before, _ = dream.reset(seed=1)
    after, _ = dream.reset(options={"reset_mask": np.zeros(2, bool)})
    assert np.array_equal(before, after)


def test_first_latents_are_drawn_from_the_starts_posteriors() -> None:
    lanes, starts = 4000, starts_of(1, logvar=2 * math.log(0.3))
    observation, _ = dream_of(lanes, starts=starts).reset(seed=list(range(lanes)))
    for dimension in range(Z):
        assert stats.kstest(observation[:, dimension], "norm", (starts.mu[0, dimension].item(), 0.3)).pvalue > 0.001


def test_every_start_is_as_likely() -> None:
    lanes, starts = 4000, starts_of(8)
    observation, _ = dream_of(lanes, starts=starts).reset(seed=list(range(lanes)))
    chosen = (torch.from_numpy(observation[:, :1]) == starts.mu[:, 0]).float().argmax(1)
    assert stats.chisquare(torch.bincount(chosen, minlength=8).numpy()).pvalue > 0.001


def test_a_dream_from_the_midst_of_an_episode_remembers_what_was_before() -> None:
    starts = starts_of(1, first=False)
    observation, _ = dream_of(2, starts=starts, inputs="zch").reset(seed=1)
    assert np.allclose(observation, torch.cat([starts.mu, starts.c, starts.h], 1))


@pytest.mark.parametrize("first", [True, False])
def test_m_sees_the_restart_flag_on_an_episodes_first_step_only(first: bool) -> None:
    memory = memory_of(restart_input=True)
    starts = starts_of(1, first=first)
    dream = dream_of(1, memory, starts, inputs="zch")
    dream.reset(seed=1)
    actions = np.full((1, A), 0.3, np.float32)
    state = memory.initial_state(1)._replace(h=starts.h, c=starts.c)
    z = starts.mu
    for flag in (float(first), 0.0):
        observation = torch.from_numpy(dream.step(actions)[0])
        with torch.no_grad():
            state = memory.step(z, torch.from_numpy(actions), torch.tensor([flag]), state)
        assert torch.allclose(observation[:, Z:], torch.cat([state.c, state.h], 1), atol=1e-6)
        z = observation[:, :Z]


def test_a_dream_without_a_start_is_refused() -> None:
    with pytest.raises(UserError, match="has no start"):
        dream_of(starts=Starts(*(tensor[:0] for tensor in starts_of())))
