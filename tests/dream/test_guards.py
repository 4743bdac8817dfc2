"""Guarded dreams against Ms made by hand, whose dreams show what has moved them."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from worldmodels.config import MemoryConfig
from worldmodels.dream import DreamVectorEnv, Guards
from worldmodels.dream.guards import Ensemble
from worldmodels.dream.movers import MASK_STEP, MEMBER_STEP, mover_of
from worldmodels.dream.simulator import LEFT
from worldmodels.envs.actions import Squash
from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.mixture import sample
from worldmodels.memory.starts import Starts
from worldmodels.noise import even, normal, uniform

Z, A, H = 5, 2, 16
SQUASH = Squash((-1.0,) * A, (1.0,) * A, clip=(False,) * A)
MANY = 4000
STILL = np.zeros((MANY, A), np.float32)


def memory_of(seed: int = 4, **options: object) -> MDNRNN:
    torch.manual_seed(seed)
    heads = {"reward_head": True, "done_head": True, "restart_input": True}
    return MDNRNN(MemoryConfig(hidden=H, **(heads | options)), Z, A).eval()


def constant(memory: MDNRNN, mean: float = 0.0, reward: float = 0.0, done: float = -1000.0) -> MDNRNN:
    """It predicts the same whatever happens: `mean` for every dimension and component, a reward, an end's log-odds."""
    with torch.no_grad():
        memory.head.weight.zero_()
        memory.head.bias.zero_()
        memory.head.bias[:-2].unflatten(0, (3, Z, -1))[1].fill_(mean)
        memory.head.bias[-2], memory.head.bias[-1] = reward, done
    return memory


def showing_its_units() -> MDNRNN:
    """Every hidden unit is tanh(1) after any step, and z' has the mean that its heads see of the first Z of them."""
    memory = constant(memory_of())
    with torch.no_grad():
        for weight in memory.recurrent:
            weight.zero_()
        memory.recurrent[2][:] = torch.tensor([1000.0, -1000.0, 1000.0, 1000.0]).repeat_interleave(H)
        means = memory.head.weight[: 3 * Z * 5].unflatten(0, (3, Z, 5))[1]
        means[torch.arange(Z), :, torch.arange(Z)] = 1
    return memory


def starts_of(count: int = 6, first: bool = True, seed: int = 5) -> Starts:
    """Starts at the same frames for every seed; what is remembered there differs."""
    torch.manual_seed(seed)
    state = torch.zeros(2, count, H) if first else torch.randn(2, count, H)
    torch.manual_seed(0)
    return Starts(torch.randn(count, Z), torch.zeros(count, Z), *state, torch.full((count,), first))


def others_of(*memories: MDNRNN, first: bool = True) -> tuple[tuple[MDNRNN, Starts], ...]:
    return tuple((memory, starts_of(first=first, seed=90 + number)) for number, memory in enumerate(memories))


def dream_of(lanes: int, guards: Guards, memory: MDNRNN, first: bool = True, **options: object) -> DreamVectorEnv:
    dream = DreamVectorEnv(memory, starts_of(first=first), SQUASH, lanes, guards=guards, **options)
    dream.reset(seed=list(range(lanes)))
    return dream


# one dropout mask a dream


def test_the_heads_are_without_a_share_of_the_units_and_the_rest_makes_up_for_it() -> None:
    dream = dream_of(MANY, Guards(dropout=0.3), showing_its_units(), temperature=0.0)
    shown = dream.step(STILL)[0][:, :Z] / math.tanh(1)
    seen = shown > 0.5
    assert np.allclose(shown, seen / 0.7, atol=1e-5)
    assert stats.binomtest(int((~seen).sum()), seen.size, 0.3).pvalue > 0.001
    together = np.corrcoef(seen.T)
    assert np.abs(together - np.eye(Z)).max() < 4.5 / math.sqrt(MANY)


def test_a_mask_lasts_for_a_dream_and_each_dream_has_its_own() -> None:
    dream = dream_of(MANY, Guards(dropout=0.5), showing_its_units(), temperature=0.0)
    first, *later = (dream.step(STILL)[0][:, :Z] for _ in range(5))
    assert all(np.array_equal(first, other) for other in later)
    patterns = np.unique(first > 0.5, axis=0, return_counts=True)[1]
    assert len(patterns) == 2**Z
    assert stats.chisquare(patterns).pvalue > 0.001
    dream.reset(seed=list(range(MANY, 2 * MANY)))
    assert not np.array_equal(dream.step(STILL)[0][:, :Z], first)
    dream.reset(seed=list(range(MANY)))
    assert np.array_equal(dream.step(STILL)[0][:, :Z], first)


def test_c_sees_all_units() -> None:
    dream = dream_of(MANY, Guards(dropout=0.5), showing_its_units(), temperature=0.0)
    assert np.allclose(dream.step(STILL)[0][:, Z:], math.tanh(1))


# an ensemble


def marked(count: int) -> list[MDNRNN]:
    """Ms with different weights; number n predicts n for every dimension."""
    return [constant(memory_of(seed), mean=seed) for seed in range(count)]


@pytest.mark.parametrize(("ensemble", "movers"), [("member", [0, 1, 2, 3]), ("other", [1, 2, 3])])
def test_each_dream_is_moved_by_one_member_and_all_movers_move_as_many(ensemble: Ensemble, movers: list[int]) -> None:
    memory, *others = marked(4)
    dream = dream_of(MANY, Guards(ensemble=ensemble, others=others_of(*others)), memory, temperature=0.0)
    first, *later = (dream.step(STILL)[0][:, :Z] for _ in range(4))
    assert all(np.array_equal(first, other) for other in later)
    assert (first == first[:, :1]).all()
    moved, dreams = np.unique(first[:, 0], return_counts=True)
    assert moved.tolist() == movers
    assert stats.chisquare(dreams).pvalue > 0.001


def test_members_and_masks_and_starts_are_drawn_apart() -> None:
    seeds = torch.arange(MANY)
    member = uniform(seeds, torch.full_like(seeds, MEMBER_STEP), 1)
    mask = uniform(seeds, torch.full_like(seeds, MASK_STEP), 20)
    start = uniform(seeds, torch.full_like(seeds, -1), 20)
    together = np.corrcoef(torch.cat([member, mask, start], 1).T)
    assert np.abs(together - np.eye(41)).max() < 4.5 / math.sqrt(MANY)


@pytest.mark.parametrize("ensemble", ["none", "member", "other", "penalty"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("first", [True, False])
def test_a_guarded_dream_is_its_ms_stepped_one_dream_at_a_time(ensemble: str, dropout: float, first: bool) -> None:
    """The oracle: every M with its own state from the start on, told the same world; C sees that of the first."""
    lanes, weight, memories = 70, 0.5, [memory_of(seed) for seed in (4, 5, 6)]
    others = others_of(*memories[1:], first=first)
    guards = Guards(dropout, ensemble, weight, others if ensemble != "none" else ())
    dream = dream_of(lanes, guards, memories[0], first, temperature=0.7)
    seeds = torch.arange(lanes)
    pick = (uniform(seeds, torch.full_like(seeds, -1), even(Z) + 1)[:, -1] * 6).long()
    starts = [starts_of(first=first), *(theirs for _, theirs in others)]
    states = [State(theirs.h[pick], theirs.c[pick]) for theirs in starts]
    mask = (uniform(seeds, torch.full_like(seeds, MASK_STEP), H) >= dropout) / (1 - dropout)
    moving = torch.zeros_like(seeds)
    if ensemble in ("member", "other"):
        least = int(ensemble == "other")
        moving = least + (uniform(seeds, torch.full_like(seeds, MEMBER_STEP), 1)[:, 0] * (3 - least)).long()
    random, z = np.random.default_rng(3), dream.z
    for step in range(5):
        alive = torch.from_numpy(~dream.over)
        action = random.uniform(-1, 1, (lanes, A)).astype(np.float32)
        restart = torch.full((lanes,), float(first and step == 0))
        with torch.no_grad():
            states = [m.step(z, torch.from_numpy(action), restart, s) for m, s in zip(memories, states, strict=True)]
            opinions = [m.predict(s.h * mask) for m, s in zip(memories, states, strict=True)]
        numbers = uniform(seeds, torch.full((lanes,), step), Z + even(Z) + 1)
        draws = [sample(o.mixture, 0.7, numbers[:, :Z], normal(numbers[:, Z:-1])[:, :Z]) for o in opinions]
        z = torch.stack(draws)[moving, seeds]
        reward = torch.stack([o.reward for o in opinions])[moving, seeds]
        if ensemble == "penalty":
            expected = [(torch.softmax(o.mixture.logits, -1) * o.mixture.mean).sum(-1) for o in opinions]
            apart = torch.stack(expected).std(0, correction=0).mean(1)
            apart += torch.stack([torch.sigmoid(o.done) for o in opinions]).std(0, correction=0)
            apart += torch.stack([o.reward for o in opinions]).std(0, correction=0)
            assert (apart > 0.01).all()
            reward = reward - weight * apart
        ended = numbers[:, -1] < torch.sigmoid(torch.stack([o.done for o in opinions])[moving, seeds])
        _, rewards, terminated, _, _ = dream.step(action)
        assert torch.allclose(dream.z[alive], z[alive], atol=1e-5)
        assert torch.allclose(dream.state.h[alive], states[0].h[alive], atol=1e-6)
        assert torch.allclose(dream.state.c[alive], states[0].c[alive], atol=1e-6)
        assert np.allclose(rewards[alive], reward[alive], atol=1e-5)
        assert (terminated == (alive & ended).numpy()).all()


def test_identical_ms_do_not_disagree_at_all() -> None:
    memory = memory_of()
    guards = Guards(ensemble="penalty", disagreement=1000.0, others=((memory, starts_of()), (memory, starts_of())))
    plain, penalised = (dream_of(100, one, memory) for one in (Guards(), guards))
    for _ in range(5):
        actions = np.full((100, A), 0.3, np.float32)
        assert np.array_equal(plain.step(actions)[1], penalised.step(actions)[1])


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_what_ms_disagree_on_is_taken_off_the_reward(weight: float) -> None:
    means, rewards, odds = [1.0, 2.0, 6.0], [5.0, 1.0, 3.0], [-3.0, -1.0, -2.0]
    memory, *others = (constant(memory_of(), *numbers) for numbers in zip(means, rewards, odds, strict=True))
    guards = Guards(ensemble="penalty", disagreement=weight, others=others_of(*others))
    reward = dream_of(8, guards, memory).step(STILL[:8])[1]
    apart = np.std(means) + np.std(rewards) + np.std(1 / (1 + np.exp(-np.array(odds))))
    assert reward == pytest.approx(5.0 - weight * apart, abs=1e-4)


def test_without_heads_a_step_is_worth_one_less_what_the_latents_disagree_on() -> None:
    memories = [memory_of(seed, reward_head=False, done_head=False) for seed in range(2)]
    for memory, mean in zip(memories, (1.0, 4.0), strict=True):
        with torch.no_grad():
            memory.head.weight.zero_()
            memory.head.bias.zero_()
            memory.head.bias.unflatten(0, (3, Z, -1))[1].fill_(mean)
    guards = Guards(ensemble="penalty", disagreement=0.1, others=others_of(memories[1]))
    assert dream_of(8, guards, memories[0]).step(STILL[:8])[1] == pytest.approx(1 - 0.1 * 1.5)


# ends that are weighed


def mortal(odds: float) -> MDNRNN:
    """A step is worth 1, and each may be the last with the same log-odds."""
    return constant(memory_of(), reward=1.0, done=odds)


def returns_of(guards: Guards, memory: MDNRNN, steps: int, lanes: int = MANY) -> tuple[np.ndarray, np.ndarray]:
    """Returns and lengths of dreams of so many steps at most."""
    dream = dream_of(lanes, guards, memory, max_steps=steps)
    rewards, under_way = np.zeros((steps, lanes)), np.zeros((steps, lanes), bool)
    for step in range(steps):
        under_way[step] = ~dream.over
        rewards[step] = dream.step(STILL[:lanes])[1]
    return rewards.sum(0), under_way.sum(0)


@pytest.mark.parametrize("steps", [3, 200])
def test_weighed_ends_give_the_same_mean_return_with_less_noise(steps: int) -> None:
    drawn, weighed = (returns_of(Guards(ends=ends), mortal(-3.0), steps)[0] for ends in ("drawn", "weighed"))
    chance = 1 / (1 + math.exp(3.0))
    for returns in (drawn, weighed):
        expected = (1 - (1 - chance) ** steps) / chance
        assert returns.mean() == pytest.approx(expected, abs=4 * returns.std() / math.sqrt(MANY) + 1e-4)
    assert weighed.std() < 0.4 * drawn.std()


def test_a_reward_counts_by_the_chance_of_having_come_so_far_until_little_is_left() -> None:
    dream, chance, weight = dream_of(MANY, Guards(ends="weighed"), mortal(-1.0)), 1 / (1 + math.e), 1.0
    while weight > LEFT:
        _, rewards, terminated, _, _ = dream.step(STILL)
        assert rewards == pytest.approx(weight)
        assert not terminated.any()
        weight *= 1 - chance
    for _ in range(3):
        alive = ~dream.over
        _, rewards, terminated, _, _ = dream.step(STILL)
        assert rewards[alive] == pytest.approx(weight)
        assert stats.binomtest(int(terminated.sum()), int(alive.sum()), chance).pvalue > 0.001


def test_nothing_is_weighed_where_nothing_ends() -> None:
    memory = memory_of(done_head=False)
    drawn, weighed = (returns_of(Guards(ends=ends), memory, 20, 50) for ends in ("drawn", "weighed"))
    assert np.array_equal(drawn[0], weighed[0])
    assert (weighed[1] == 20).all()


def guards_of(kind: str) -> Guards:
    others = others_of(memory_of(5), memory_of(6))
    return {
        "dropout": Guards(dropout=0.3),
        "member": Guards(0.3, "member", others=others),
        "other": Guards(0.3, "other", others=others),
        "penalty": Guards(0.3, "penalty", 0.7, others=others),
        "weighed": Guards(0.3, ends="weighed"),
    }[kind]


def followed(dream: DreamVectorEnv, lane: int, steps: int) -> list[np.ndarray]:
    """A lane's observations, rewards and ends, its actions a function of what it observes."""
    observation, seen = dream._observe(), []
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = dream.step(np.tanh(observation[:, :A]))
        seen += [observation[lane], reward[lane], terminated[lane] | truncated[lane]]
        if dream.over[lane]:
            break
    return seen


@pytest.mark.parametrize("kind", ["dropout", "member", "other", "penalty", "weighed"])
@pytest.mark.parametrize("lanes", [1, 3, 63, 65, 200])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_guarded_dream_is_the_same_to_the_bit_in_any_batch(kind: str, lanes: int, precision: torch.dtype) -> None:
    one = dream_of(1, guards_of(kind), memory_of(), precision=precision, temperature=0.9)
    other = dream_of(lanes, guards_of(kind), memory_of(), precision=precision, temperature=0.9)
    for seed in (5, 6, 7, 8):
        lane = (31 * seed) % lanes
        one.reset(seed=[seed])
        other.reset(seed=[seed if i == lane else 1000 + i for i in range(lanes)])
        expected, seen = followed(one, 0, 8), followed(other, lane, 8)
        assert len(expected) == len(seen)
        assert all(np.array_equal(a, b) for a, b in zip(expected, seen, strict=True))


@pytest.mark.parametrize("kind", ["dropout", "member", "other", "penalty", "weighed"])
def test_a_guarded_dream_goes_on_when_those_beside_it_end_and_begin(kind: str) -> None:
    memory = memory_of(done_head=False)
    guards = guards_of(kind)
    others = tuple(
        (memory_of(seed, done_head=False), starts_of()) for seed, _ in zip((5, 6), guards.others, strict=False)
    )
    guards = dataclasses.replace(guards, others=others)
    alone, among = dream_of(1, guards, memory), dream_of(200, guards, memory)
    alone.reset(seed=[9])
    among.reset(seed=[*range(100, 299), 9])
    expected = followed(alone, 0, 12)
    seen = followed(among, 199, 3)
    among.over[:150] = True
    seen += followed(among, 199, 3)
    among.over[150:199] = True  # one block is enough from here on
    seen += followed(among, 199, 3)
    among.reset(seed=[*range(300, 499), None], options={"reset_mask": np.arange(200) < 199})
    seen += followed(among, 199, 3)
    assert all(np.array_equal(a, b) for a, b in zip(expected, seen, strict=True))


def test_guards_at_first_frames_keep_what_is_remembered_there() -> None:
    starts = starts_of(first=False)._replace(first=torch.tensor([True, False] * 3))
    guards = Guards(0.1, "penalty", 2.0, ((memory_of(), starts),), "weighed").only_first()
    ((_, theirs),) = guards.others
    assert torch.equal(theirs.h, starts.h[::2])
    assert dataclasses.replace(guards, others=()) == Guards(0.1, "penalty", 2.0, (), "weighed")


@pytest.mark.parametrize("kind", ["member", "other", "penalty"])
def test_the_other_ms_stay_where_they_are_when_a_dream_goes_to_another_device(kind: str) -> None:
    guards = Guards(ensemble=kind, others=others_of(memory_of(7), memory_of(8)))  # type: ignore[arg-type]
    mover_of(memory_of().to("meta"), guards, torch.float32, 2)
    assert {weight.device.type for other, _ in guards.others for weight in other.parameters()} == {"cpu"}
