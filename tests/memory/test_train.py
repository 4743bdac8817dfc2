import dataclasses
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import tiny_config

from worldmodels.config import MemoryConfig
from worldmodels.data.latents import Latents
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, Sequences, State
from worldmodels.memory.sequences import whole_episodes
from worldmodels.memory.train import learning_rate, train_memory, trained_memory, validate_memory
from worldmodels.metrics import read_metrics
from worldmodels.runs import Run
from worldmodels.vision.train import mean_metrics


def test_the_learning_rate_falls_from_first_to_final() -> None:
    config = MemoryConfig(steps=100, learning_rate=1e-3, final_learning_rate=1e-5)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[50] == pytest.approx(0.5 * (1e-3 + 1e-5))
    assert rates[100] == pytest.approx(1e-5)
    assert (np.diff(rates) < 0).all()


def test_metrics_of_batches_are_weighted_by_their_sizes() -> None:
    assert mean_metrics([(1, {"loss": 1.0}), (3, {"loss": 5.0})]) == {"loss": 4.0}


def test_validation_does_not_depend_on_how_episodes_are_grouped(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    latents, (memory, _) = Latents(tiny_run.latents.folder), trained_memory(tiny_run)
    episodes = np.arange(len(latents))
    one = validate_memory(memory, latents, episodes, seed=1)
    monkeypatch.setattr("worldmodels.memory.train.VALIDATION_BATCH", 5)
    other = validate_memory(memory, latents, episodes, seed=1)
    assert one["reward"] == pytest.approx(other["reward"], rel=1e-5)
    assert one["done"] == pytest.approx(other["done"], rel=1e-5)


def test_the_kept_memory_is_the_one_with_the_lowest_validation_loss(tiny_run: Run) -> None:
    losses = {e["step"]: e["validation/loss"] for e in read_metrics(tiny_run.memory.folder) if "validation/loss" in e}
    assert sorted(losses) == [2, 4, 6]
    best = min(losses, key=lambda step: losses[step])
    assert tiny_run.memory.summary()["step"] == best
    latents, (memory, _) = Latents(tiny_run.latents.folder), trained_memory(tiny_run)
    _, validation = np.arange(9), np.array([9])
    assert validate_memory(memory, latents, validation, tiny_run.config.seed)["loss"] == pytest.approx(losses[best])


def longer(tiny_run: Run, folder: Path, **options: object) -> Run:
    """The tiny run with M trained anew."""
    shutil.copytree(tiny_run.folder, folder)
    shutil.rmtree(folder / "memory")
    config = tiny_config()
    run = Run(folder, dataclasses.replace(config, memory=dataclasses.replace(config.memory, **options)))
    train_memory(run)
    return run


def test_m_learns_to_count(tiny_run: Run, tmp_path: Path) -> None:
    """The next count, the reward and nothing else of the frames can be known: after some training it is."""
    options = {"hidden": 32, "steps": 600, "batch": 16, "sequence": 9, "learning_rate": 0.01, "validate_every": 600}
    run = longer(tiny_run, tmp_path / "run", **options)
    memory, _ = trained_memory(run)
    batch = whole_episodes(Latents(run.latents.folder), np.arange(9), seed=1)
    with torch.no_grad():
        _, parts, _ = memory.loss(batch, memory.initial_state(9))
    untrained = MDNRNN(memory.config, memory.latent_dim, memory.action_dim)
    _, before, _ = untrained.loss(batch, untrained.initial_state(9))
    assert parts["reward"] < 0.05 * before["reward"]
    assert parts["nll"] < before["nll"] - 2


def test_a_piece_begins_with_the_state_in_which_the_last_one_ended(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[torch.Tensor, State, State]] = []
    original = MDNRNN.loss

    def watched(self: MDNRNN, batch: Sequences, state: State) -> tuple:
        loss, metrics, after = original(self, batch, state)
        if self.training:
            seen.append((batch.restart[:, 0], state, after))
        return loss, metrics, after

    monkeypatch.setattr(MDNRNN, "loss", watched)
    longer(tiny_run, tmp_path / "run", steps=30, sequence=2, validate_every=30)
    carried = 0
    for (_, _, before), (restart, state, _) in itertools.pairwise(seen):
        for lane in range(len(restart)):
            fresh = bool(restart[lane])
            assert torch.equal(state.h[lane], torch.zeros_like(before.h[lane]) if fresh else before.h[lane])
            assert torch.equal(state.c[lane], torch.zeros_like(before.c[lane]) if fresh else before.c[lane])
            carried += not fresh
    assert carried > 20


def test_a_loss_that_is_no_number_stops_with_a_sentence(tiny_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"M's loss became .* at step 2.*memory\.learning_rate"):
        longer(tiny_run, tmp_path / "run", learning_rate=1e30, grad_clip=1e30)


def test_another_vision_makes_other_latents(tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    path = tmp_path / "run" / "vision" / "done.json"
    path.write_text(path.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(UserError, match="was made from another vision"):
        train_memory(Run(tmp_path / "run", tiny_config()))
