import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from worldmodels.data.latents import FIELDS, Latents
from worldmodels.errors import UserError
from worldmodels.memory.baselines import (
    baseline_nll,
    fit_mixture,
    no_change_code_nll,
    no_change_nll,
    no_memory_code_nll,
    no_memory_nll,
    verdict,
)
from worldmodels.memory.heads import GaussianHead
from worldmodels.memory.mixture import LOG_SIGMA_RANGE


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def latents_of(folder: Path, mu: np.ndarray, starts: list[int]) -> Latents:
    """Episodes whose frames are encoded as `mu` (N, Z), without any doubt."""
    columns = {"mu": mu, "logvar": np.full_like(mu, -1000.0), "action": mu[:, :1]}
    for name, (kind, *_) in FIELDS.items():
        np.save(folder / f"{name}.npy", columns.get(name, np.zeros(len(mu))).astype(kind))
    np.save(folder / "starts.npy", np.array(starts))
    return Latents(folder)


def test_baselines_are_fitted_within_episodes(tmp_path: Path) -> None:
    """Each latent is its episode's: were the step from one episode to the next one of them, it would show."""
    latents = latents_of(tmp_path, np.arange(20).repeat(5)[:, None].astype(np.float32) ** 2, list(range(0, 101, 5)))
    found = baseline_nll(latents, np.arange(16), np.arange(16, 20), GaussianHead(1, 4), seed=1)
    bound = 0.5 * math.log(2 * math.pi) + LOG_SIGMA_RANGE[0]
    assert found["no_change"] == pytest.approx(bound)
    assert found["no_memory"] > found["no_change"]


def test_episodes_of_one_step_are_refused(tmp_path: Path) -> None:
    latents = latents_of(tmp_path, np.zeros((4, 2), np.float32), [0, 1, 2, 3, 4])
    with pytest.raises(UserError, match="one step long, so there is nothing to predict"):
        baseline_nll(latents, np.arange(3), np.arange(3, 4), GaussianHead(2, 4), seed=1)


def test_the_verdict_is_of_the_better_baseline() -> None:
    baselines = {"no_change": 1.0, "no_memory": 0.5}
    assert "better than its baselines (no change 1.000, no memory 0.500)" in verdict(0.4, baselines)
    assert "NO better than its baselines" in verdict(0.6, baselines)


def test_no_change_is_a_gaussian_on_the_change() -> None:
    z, z_test = 5 * normal(4000, 2), 5 * normal(500, 2, seed=1)
    following, following_test = z + 0.3 + 0.1 * normal(4000, 2, seed=2), z_test + 0.3 + 0.1 * normal(500, 2, seed=3)
    change, change_test = (following - z).numpy(), (following_test - z_test).numpy()
    expected = -stats.norm.logpdf(change_test, change.mean(0), change.std(0)).mean()
    assert no_change_nll(z, following, z_test, following_test) == pytest.approx(expected, rel=1e-4)


def test_no_change_on_a_constant_has_a_bounded_likelihood() -> None:
    z = torch.ones(10, 2)
    floor = LOG_SIGMA_RANGE[0] + 0.5 * math.log(2 * math.pi)
    assert no_change_nll(z, z, z, z) == pytest.approx(floor, rel=1e-4)


def test_a_mixture_is_found_again() -> None:
    which = torch.rand(20_000, 1, generator=torch.Generator().manual_seed(9)) < 0.3
    z = torch.where(which, -4 + 0.5 * normal(20_000, 1), 2 + 1.5 * normal(20_000, 1, seed=1))
    mixture = fit_mixture(z, 2)
    order = mixture.mean[0].argsort()
    assert torch.softmax(mixture.logits[0], 0)[order] == pytest.approx(torch.tensor([0.3, 0.7]), abs=0.02)
    assert mixture.mean[0][order] == pytest.approx(torch.tensor([-4.0, 2.0]), abs=0.05)
    assert mixture.log_sigma[0].exp()[order] == pytest.approx(torch.tensor([0.5, 1.5]), abs=0.05)


def test_no_memory_of_a_gaussian_is_its_entropy() -> None:
    nll = no_memory_nll(3 * normal(10_000, 1), 3 * normal(10_000, 1, seed=1), components=5)
    assert nll == pytest.approx(stats.norm(scale=3).entropy(), abs=0.02)


def test_a_constant_dimension_does_not_break_the_fit() -> None:
    assert math.isfinite(no_memory_nll(torch.ones(100, 1), torch.ones(10, 1), components=5))


def test_codes_that_stay_are_predicted_by_no_change() -> None:
    torch.manual_seed(0)
    code = torch.randint(4, (4000, 2))
    stays = torch.rand(4000, 2) < torch.tensor([0.9, 0.25])
    following = torch.where(stays, code, (code + torch.randint(1, 4, (4000, 2))) % 4)
    entropy = [-(p * math.log(p) + (1 - p) * math.log((1 - p) / 3)) for p in (0.9, 0.25)]
    half = slice(2000), slice(2000, 4000)
    found = no_change_code_nll(code[half[0]], following[half[0]], code[half[1]], following[half[1]], 4)
    assert found == pytest.approx(sum(entropy) / 2, abs=0.03)


def test_codes_without_memory_have_the_entropy_of_their_frequencies() -> None:
    torch.manual_seed(0)
    chance = torch.tensor([0.5, 0.25, 0.25, 0.0])
    code = torch.multinomial(chance, 8000, replacement=True)[:, None]
    assert no_memory_code_nll(code[:4000], code[4000:], 4) == pytest.approx(1.5 * math.log(2), abs=0.03)
    assert math.isfinite(no_memory_code_nll(code[:4000], torch.full((1, 1), 3), 4))
