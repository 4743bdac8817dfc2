from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodels.data.latents import Latents
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.starts import Starts, gather_starts, load_starts, save_starts
from worldmodels.memory.train import trained_memory
from worldmodels.runs import Run
from worldmodels.tensors import save_tensors


@pytest.fixture(scope="module")
def latents(tiny_run: Run) -> Latents:
    return Latents(tiny_run.latents.folder)


@pytest.fixture(scope="module")
def memory(tiny_run: Run) -> MDNRNN:
    return trained_memory(tiny_run)[0]


def row_of(latents: Latents, mu: torch.Tensor) -> int:
    """The row of a latent, which the counting V makes unique."""
    (rows,) = np.nonzero((np.asarray(latents.mu) == mu.numpy()).all(1))
    return int(rows[0])


def test_first_frames_start_with_nothing_remembered(latents: Latents, memory: MDNRNN) -> None:
    starts = gather_starts(latents, memory, np.arange(len(latents)), 5, seed=1).only_first()
    assert len(starts.mu) >= 5
    assert all(row_of(latents, mu) in latents.starts for mu in starts.mu)
    assert not starts.h.any()
    assert not starts.c.any()


def test_a_moment_starts_with_what_m_remembers_there(latents: Latents, memory: MDNRNN) -> None:
    starts = gather_starts(latents, memory, np.arange(len(latents)), 100, seed=1)
    inner = [i for i in range(len(starts.mu)) if not starts.first[i]]
    assert len(inner) > 50
    for i in inner:
        row = row_of(latents, starts.mu[i])
        begin = latents.starts[latents.starts <= row][-1]
        state = memory.initial_state(1)
        for t in range(begin, row):  # the counting V is certain: a latent is its mean
            z, action = (torch.from_numpy(np.array(array[[t]])) for array in (latents.mu, latents.action))
            with torch.no_grad():
                state = memory.step(z, action, torch.tensor([float(t == begin)]), state)
        assert torch.allclose(starts.h[i], state.h[0], atol=1e-5)
        assert torch.allclose(starts.c[i], state.c[0], atol=1e-5)


def test_a_start_is_a_first_frame_if_and_only_if_it_says_so(latents: Latents, memory: MDNRNN) -> None:
    starts = gather_starts(latents, memory, np.arange(len(latents)), 100, seed=1)
    rows = [row_of(latents, mu) for mu in starts.mu]
    assert starts.first.tolist() == [row in latents.starts for row in rows]


def test_only_the_named_episodes_are_used(latents: Latents, memory: MDNRNN) -> None:
    starts = gather_starts(latents, memory, np.array([2, 5]), 100, seed=1)
    episodes = {int(np.searchsorted(latents.starts, row_of(latents, mu), "right")) - 1 for mu in starts.mu}
    assert episodes == {2, 5}


@pytest.mark.parametrize("count", [1, 3, 20])
def test_no_more_starts_than_asked_for(latents: Latents, memory: MDNRNN, count: int) -> None:
    starts = gather_starts(latents, memory, np.arange(len(latents)), count, seed=1)
    assert len(starts.mu) <= 2 * count
    assert len({len(tensor) for tensor in starts}) == 1


def test_few_moments_are_as_late_as_many(latents: Latents, memory: MDNRNN) -> None:
    longest = int(latents.lengths.argmax())
    steps = [
        row_of(latents, mu) - latents.starts[longest]
        for seed in range(40)
        for mu in gather_starts(latents, memory, np.array([longest]), 4, seed).mu[1:]
    ]
    assert len(steps) == 4 * 40
    assert np.mean(steps) == pytest.approx((latents.lengths[longest] - 1) / 2, abs=0.7)


def some_starts(count: int = 3) -> Starts:
    return Starts(*(torch.randn(count, n) for n in (2, 2, 4, 4)), torch.ones(count, dtype=torch.bool))


def test_starts_come_back_from_disk(tmp_path: Path) -> None:
    starts = some_starts()
    save_starts(tmp_path / "s", starts)
    assert all(torch.equal(one, other) for one, other in zip(load_starts(tmp_path / "s"), starts, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"mu": torch.randn(4, 2)},
        {"mu": torch.tensor(3.0)},
        {"h": torch.randn(3)},
        {"c": torch.randn(3, 5)},
        {"logvar": torch.randn(3, 3)},
        {"mu": torch.full((3, 2), float("nan"))},
        {"first": torch.ones(3)},
        {"more": torch.ones(3)},
    ],
)
def test_damaged_starts_are_refused(tmp_path: Path, change: dict) -> None:
    save_tensors(tmp_path / "s", some_starts()._asdict() | change)
    with pytest.raises(UserError, match="starts of dreams"):
        load_starts(tmp_path / "s")
