import pytest
import torch
from scipy import stats

from worldmodels.noise import even, normal, uniform

SEEDS = torch.arange(1, 2001)


def drawn(seeds: torch.Tensor = SEEDS, step: int = 0, count: int = 16) -> torch.Tensor:
    return uniform(seeds, torch.full_like(seeds, step), count)


@pytest.mark.parametrize("step", [-1, 0, 999])
def test_numbers_are_uniform(step: int) -> None:
    numbers = drawn(step=step)
    assert stats.kstest(numbers.flatten().numpy(), "uniform").pvalue > 0.01
    assert numbers.min() > 0
    assert numbers.max() < 1


def test_numbers_are_uniform_over_the_steps_of_one_seed() -> None:
    steps = torch.arange(-1, 20_000)
    numbers = uniform(torch.full_like(steps, 7), steps, 2)
    assert stats.kstest(numbers[:, 0].numpy(), "uniform").pvalue > 0.01
    assert stats.kstest(numbers[:, 1].numpy(), "uniform").pvalue > 0.01


def test_the_largest_number_is_below_one() -> None:
    """Here the hash's upper 24 bits are all ones, and 24 bits and a half round to one."""
    assert uniform(torch.tensor([10_869]), torch.tensor([28]), 64)[0, 33].item() < 1


def test_normal_numbers_are_normal_and_independent() -> None:
    numbers = normal(drawn(count=16))
    assert stats.kstest(numbers.flatten().numpy(), "norm").pvalue > 0.01
    correlation = torch.corrcoef(numbers.T) - torch.eye(16)
    assert correlation.abs().max() < 4.5 / len(SEEDS) ** 0.5  # the two numbers of a Box-Muller pair among them
    assert torch.corrcoef(numbers.square().T).fill_diagonal_(0).abs().max() < 4.5 / len(SEEDS) ** 0.5


@pytest.mark.parametrize(("other", "step"), [(SEEDS, 1), (SEEDS + 1, 0), (SEEDS + 2**32, 0), (SEEDS + 10_000, -1)])
def test_other_steps_and_neighbouring_seeds_are_independent(other: torch.Tensor, step: int) -> None:
    pairs = torch.stack([drawn().flatten(), drawn(other, step).flatten()])
    assert torch.corrcoef(pairs)[0, 1].abs() < 4 / pairs.shape[1] ** 0.5
    assert (pairs[0] == pairs[1]).float().mean() < 1e-4


def test_successive_indices_are_independent() -> None:
    numbers = drawn(count=64)
    pairs = torch.stack([numbers[:, :-1].flatten(), numbers[:, 1:].flatten()])
    assert torch.corrcoef(pairs)[0, 1].abs() < 4 / pairs.shape[1] ** 0.5


def test_a_lane_does_not_depend_on_the_others() -> None:
    whole = drawn()
    assert torch.equal(drawn(SEEDS[[17, 3]]), whole[[17, 3]])


def test_more_numbers_begin_like_fewer() -> None:
    assert torch.equal(drawn(count=40)[:, :16], drawn(count=16))


def test_all_64_bits_of_a_seed_count() -> None:
    seeds = torch.tensor([5, *(5 ^ (1 << bit) for bit in range(1, 63)), -5])
    assert len(torch.unique(drawn(seeds, count=4), dim=0)) == len(seeds)


def test_seeds_and_steps_are_left_as_they_were() -> None:
    for kind in (torch.int32, torch.int64):
        seeds, steps = torch.tensor([3, 4], dtype=kind), torch.tensor([1, 2], dtype=kind)
        uniform(seeds, steps, 4)
        assert seeds.tolist() == [3, 4]
        assert steps.tolist() == [1, 2]


def test_even() -> None:
    assert [even(n) for n in (0, 1, 2, 3)] == [0, 2, 2, 4]
