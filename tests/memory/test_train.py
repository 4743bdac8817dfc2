import dataclasses
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import tiny_config
from scipy import stats

import worldmodels.memory.train
from worldmodels.config import MemoryConfig
from worldmodels.data.encoding import encode_rollouts
from worldmodels.data.latents import Latents, latents_of
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, Sequences, State
from worldmodels.memory.sequences import whole_episodes
from worldmodels.memory.train import (
    WEIGHTS,
    train_memory,
    trained_member,
    trained_memory,
    validate_memory,
)
from worldmodels.metrics import read_metrics
from worldmodels.runs import Run
from worldmodels.vision.train import mean_metrics, trained_vision


def test_metrics_of_batches_are_weighted_by_their_sizes() -> None:
    assert mean_metrics([(1, {"loss": 1.0}), (3, {"loss": 5.0})]) == {"loss": 4.0}


def test_validation_does_not_depend_on_how_episodes_are_grouped(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    latents, (memory, _) = Latents(tiny_run.latents.folder), trained_memory(tiny_run)
    episodes = np.arange(len(latents))
    one = validate_memory(memory, latents, episodes, seed=1)
    monkeypatch.setattr("worldmodels.memory.train.VALIDATION_BATCH", 5)
    other = validate_memory(memory, latents, episodes, seed=1)
    assert list(one) == ["loss", "nll", "reward", "done"]
    assert one == pytest.approx(other, rel=1e-5)
    assert one["loss"] == pytest.approx(one["nll"] + memory.config.reward_weight * one["reward"] + one["done"])


def test_episodes_of_a_single_step_are_validated_by_what_the_heads_say(tiny_run: Run) -> None:
    latents, (memory, _) = Latents(tiny_run.latents.folder), trained_memory(tiny_run)
    short = np.flatnonzero(latents.lengths == 1)[:1]
    values = validate_memory(memory, latents, short, seed=1)
    assert values["nll"] == 0
    assert values["loss"] == pytest.approx(values["reward"] + values["done"])


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


def test_less_noise_in_what_m_learns_from_is_less_where_its_dreams_begin(tiny_run: Run, tmp_path: Path) -> None:
    plain = trained_memory(longer(tiny_run, tmp_path / "plain"))[1]
    run = longer(tiny_run, tmp_path / "less", latent_noise=0.5)
    less = trained_memory(run)[1]
    assert torch.equal(less.mu, plain.mu)
    assert torch.allclose(less.logvar, plain.logvar + 2 * np.log(0.5))
    assert encode_rollouts(run, trained_vision(run)).noise == latents_of(run).noise == 0.5


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
    with pytest.raises(UserError, match=r"M's loss became .* at step 2; there was no .*memory\.learning_rate"):
        longer(tiny_run, tmp_path / "run", learning_rate=1e30, grad_clip=1e30)


def test_dropout_is_for_training_only_and_as_much_as_asked_for(tiny_run: Run) -> None:
    latents = Latents(tiny_run.latents.folder)
    torch.manual_seed(1)
    memory = MDNRNN(MemoryConfig(hidden=200, dropout=0.3), latents.latent_dim, latents.action_dim)
    batch = whole_episodes(latents, np.arange(9), seed=1)
    seen = []
    memory.head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    memory.train().loss(batch, memory.initial_state(9))
    memory.loss(batch, memory.initial_state(9))
    memory.eval().loss(batch, memory.initial_state(9))
    once, again, whole = seen
    gone = once == 0
    assert stats.binomtest(int(gone.sum()), gone.numel(), 0.3).pvalue > 0.001
    assert torch.allclose(once[~gone], whole[~gone] / 0.7)
    assert not torch.equal(gone, again == 0)
    assert not torch.equal(gone[:, 0], gone[:, 1])


def test_dropout_changes_what_is_learned_and_is_a_function_of_the_seed(tiny_run: Run, tmp_path: Path) -> None:
    paths = [longer(tiny_run, tmp_path / name, dropout=0.4).memory.folder / WEIGHTS for name in ("one", "other")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes() != (tiny_run.memory.folder / WEIGHTS).read_bytes()


def test_ends_in_dreams_change_what_is_learned_and_are_a_function_of_the_seed(tiny_run: Run, tmp_path: Path) -> None:
    lengths = {"none": 0, "one": 4, "other": 4}
    none, one, other = (
        longer(tiny_run, tmp_path / name, open_loop=length, steps=10).memory.folder for name, length in lengths.items()
    )
    assert (one / WEIGHTS).read_bytes() == (other / WEIGHTS).read_bytes()
    assert (one / WEIGHTS).read_bytes() != (none / WEIGHTS).read_bytes()
    measured = {name for line in read_metrics(one) for name in line}
    assert "dreamt_done" in measured
    assert "validation/dreamt_done" not in measured


def test_the_first_of_several_ms_is_the_only_one_to_the_byte(tiny_run: Run, tmp_path: Path) -> None:
    run = longer(tiny_run, tmp_path / "run", members=3)
    for name in (WEIGHTS, "starts.safetensors", "metrics.jsonl", "done.json", "options.json"):
        assert (run.memory.folder / name).read_bytes() == (tiny_run.memory.folder / name).read_bytes(), name


def test_more_members_later_are_those_of_a_run_that_had_them_from_the_start(tiny_run: Run, tmp_path: Path) -> None:
    run = longer(tiny_run, tmp_path / "run", members=3)
    later = longer(tiny_run, tmp_path / "later")
    train_memory(Run(later.folder, run.config))
    for number in range(3):
        one, other = (which.member(number) for which in (run, later))
        assert one.fingerprint() == other.fingerprint()
        assert (one.folder / WEIGHTS).read_bytes() == (other.folder / WEIGHTS).read_bytes()


def test_members_differ_and_begin_their_dreams_at_the_same_moments(tiny_run: Run, tmp_path: Path) -> None:
    run = longer(tiny_run, tmp_path / "run", members=3)
    (first, starts), *others = (trained_member(run, number) for number in range(3))
    for memory, theirs in others:
        assert not torch.allclose(memory.head.weight, first.head.weight)
        assert torch.equal(theirs.mu, starts.mu)
        assert torch.equal(theirs.first, starts.first)
        assert not torch.allclose(theirs.h[~theirs.first], starts.h[~starts.first])
    assert not torch.allclose(others[0][0].head.weight, others[1][0].head.weight)


def test_members_see_episodes_in_other_orders_and_with_other_noise(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[int]] = {"streams": [], "read_sequences": []}
    for name in seen:
        original = getattr(worldmodels.memory.train, name)

        def watched(*args: object, original: Callable = original, name: str = name, **options: object) -> object:
            seen[name].append(args[-1])  # the seed
            return original(*args, **options)

        monkeypatch.setattr(f"worldmodels.memory.train.{name}", watched)
    run = longer(tiny_run, tmp_path / "run", members=3)
    assert seen["streams"][0] == run.config.seed
    assert len(set(seen["streams"])) == 3
    assert len(set(seen["read_sequences"])) == len(seen["read_sequences"]) >= 3 * run.config.memory.steps


def test_every_member_is_measured_on_the_same_held_out_episodes(tiny_run: Run, tmp_path: Path) -> None:
    run = longer(tiny_run, tmp_path / "run", members=2)
    entries = [entry for entry in read_metrics(run.member(1).folder) if "validation/loss" in entry]
    assert [entry["step"] for entry in entries] == [2, 4, 6]
    summary = run.member(1).summary()
    assert summary["validation"]["loss"] == min(entry["validation/loss"] for entry in entries)
    assert summary["baselines"] == run.memory.summary()["baselines"]
    values = validate_memory(trained_member(run, 1)[0], Latents(run.latents.folder), np.array([9]), run.config.seed)
    assert values["loss"] == pytest.approx(summary["validation"]["loss"])


def test_another_vision_makes_other_latents(tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    vision = Run(tmp_path / "run", tiny_config()).vision
    vision.finish(vision.summary() | {"step": 1})
    with pytest.raises(UserError, match="was made from another vision"):
        train_memory(Run(tmp_path / "run", tiny_config()))
