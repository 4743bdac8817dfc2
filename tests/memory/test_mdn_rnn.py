from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributions as D
from torch.nn import functional as F

from worldmodels.config import MemoryConfig, VisionConfig
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, Sequences, State, load_memory, save_memory
from worldmodels.tensors import save_tensors
from worldmodels.vision import build_vision, save_vision

Z, A, H, B, L = 3, 2, 6, 4, 7
HEADS = MemoryConfig(
    hidden=H, mixtures=5, reward_head=True, done_head=True, restart_input=True, done_weight=10.0, reward_weight=0.5
)


@pytest.fixture
def model() -> MDNRNN:
    torch.manual_seed(1)
    return MDNRNN(HEADS, Z, A)


def batch_of(lengths: list[int], steps: int, padding: float = 0.0, seed: int = 0) -> Sequences:
    """Random sequences of whole episodes with the given lengths, with any padding after their ends."""
    torch.manual_seed(seed)
    z, action = torch.randn(len(lengths), 30, Z)[:, : steps + 1], torch.randn(len(lengths), 30, A)[:, :steps]
    reward = torch.randn(len(lengths), 30)[:, :steps]
    length = torch.tensor(lengths)[:, None]
    at = torch.arange(steps)
    valid, has_next = at < length, at + 1 < length
    padded = (torch.arange(steps + 1) >= length)[..., None]
    return Sequences(
        z=torch.where(padded, padding, z),
        action=torch.where(valid[..., None], action, padding),
        restart=(at == 0).float().expand(len(lengths), steps),
        reward=torch.where(valid, reward, 0.0),
        done=(at == length - 1).float(),
        valid=valid,
        has_next=has_next,
    )


def trainable(model: MDNRNN) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_it_has_the_papers_number_of_parameters() -> None:
    assert trainable(MDNRNN(MemoryConfig(hidden=256), latent_dim=32, action_dim=3)) == 422_368
    take_cover = MemoryConfig(hidden=512, done_head=True, restart_input=True)
    assert trainable(MDNRNN(take_cover, latent_dim=64, action_dim=1)) == 1_678_785


def test_step_is_what_forward_does_at_every_step(model: MDNRNN) -> None:
    batch = batch_of([L] * B, L)
    torch.manual_seed(2)
    state = State(torch.randn(B, H), torch.randn(B, H))
    prediction, last = model(batch.z[:, :-1], batch.action, batch.restart, state)
    for t in range(L):
        state = model.step(batch.z[:, t], batch.action[:, t], batch.restart[:, t], state)
        expected = model.predict(state.h)
        assert torch.allclose(expected.mixture.mean, prediction.mixture.mean[:, t], atol=1e-6)
        assert torch.allclose(expected.reward, prediction.reward[:, t], atol=1e-6)
        assert torch.allclose(expected.done, prediction.done[:, t], atol=1e-6)
    assert torch.allclose(state.h, last.h, atol=1e-6)
    assert torch.allclose(state.c, last.c, atol=1e-6)


def test_a_state_carried_over_pieces_is_that_of_one_long_sequence(model: MDNRNN) -> None:
    batch = batch_of([L] * B, L)
    inputs = (batch.z[:, :-1], batch.action, batch.restart)
    whole, end = model(*inputs, model.initial_state(B))
    state, parts = model.initial_state(B), []
    for piece in (slice(0, 3), slice(3, 5), slice(5, L)):
        prediction, state = model(*(tensor[:, piece] for tensor in inputs), state)
        parts.append(prediction.mixture.logits)
    assert torch.allclose(torch.cat(parts, 1), whole.mixture.logits, atol=1e-6)
    assert torch.allclose(state.c, end.c, atol=1e-6)


def test_the_initial_state_is_two_zero_tensors_of_their_own(model: MDNRNN) -> None:
    state = model.initial_state(B)
    state.h[0] = 1
    assert not state.c.any()
    assert state.c.shape == (B, H)


def test_the_restart_flag_is_seen_only_by_a_model_that_takes_it(model: MDNRNN) -> None:
    z, action = torch.randn(B, Z), torch.randn(B, A)
    deaf = MDNRNN(MemoryConfig(hidden=H), Z, A)
    for sees, memory in ((True, model), (False, deaf)):
        zero, one = (
            memory.step(z, action, flag, memory.initial_state(B)).h for flag in (torch.zeros(B), torch.ones(B))
        )
        assert torch.equal(zero, one) != sees


@pytest.mark.parametrize("padding", [0.0, 5.0, -1e4])
def test_padding_changes_neither_loss_nor_gradients(model: MDNRNN, padding: float) -> None:
    grads, losses = [], []
    for batch in (batch_of([5, 3, 1], 5), batch_of([5, 3, 1], 11, padding)):
        model.zero_grad()
        loss, _, _ = model.loss(batch, model.initial_state(3))
        loss.backward()
        losses.append(loss.item())
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert torch.allclose(*grads, rtol=1e-4, atol=1e-5)


def test_a_batch_of_last_steps_alone_has_a_finite_loss(model: MDNRNN) -> None:
    loss, parts, _ = model.loss(batch_of([1, 1], 1), model.initial_state(2))
    assert parts["nll"] == 0
    assert torch.isfinite(loss)


def test_the_loss_is_the_sum_of_its_parts_each_a_mean_over_real_steps(model: MDNRNN) -> None:
    lengths = [7, 4, 2]
    batch = batch_of(lengths, L)
    total, parts, _ = model.loss(batch, model.initial_state(3))
    prediction, _ = model(batch.z[:, :-1], batch.action, batch.restart, model.initial_state(3))
    nll, reward, done = [], [], []
    for lane, length in enumerate(lengths):
        for t in range(length):
            logits, mean, log_sigma = (part[lane, t] for part in prediction.mixture)
            if t + 1 < length:
                components = D.Normal(mean, log_sigma.exp())
                density = D.MixtureSameFamily(D.Categorical(logits=logits), components)
                nll.append(-density.log_prob(batch.z[lane, t + 1]).mean())
            reward.append((prediction.reward[lane, t] - batch.reward[lane, t]) ** 2)
            ended = t == length - 1
            probability = torch.sigmoid(prediction.done[lane, t])
            done.append(-10 * probability.log() if ended else -(1 - probability).log())
    expected = {name: torch.stack(values).mean() for name, values in (("nll", nll), ("reward", reward), ("done", done))}
    for name, value in expected.items():
        assert parts[name].item() == pytest.approx(value.item(), rel=1e-5), name
    assert total.item() == pytest.approx(
        (expected["nll"] + 0.5 * expected["reward"] + expected["done"]).item(), rel=1e-5
    )


def test_without_heads_the_loss_is_the_likelihood_alone() -> None:
    model = MDNRNN(MemoryConfig(hidden=H), Z, A)
    total, parts, _ = model.loss(batch_of([L], L), model.initial_state(1))
    assert set(parts) == {"loss", "nll"}
    assert torch.equal(total, parts["nll"])


def test_training_reaches_every_weight_but_the_second_bias(model: MDNRNN) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    losses = []
    for _ in range(20):
        loss, _, _ = model.loss(batch_of([L] * B, L), model.initial_state(B))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == set(before) - {"lstm.bias_hh_l0"}
    assert not model.lstm.bias_hh_l0.any()
    assert losses[-1] < losses[0]


def test_forget_gates_begin_open(model: MDNRNN) -> None:
    assert F.one_hot(torch.tensor(1), 4).repeat_interleave(H).float().equal(model.lstm.bias_ih_l0.detach())


def test_a_saved_model_comes_back_the_same(model: MDNRNN, tmp_path: Path) -> None:
    save_memory(tmp_path / "m", model)
    loaded = load_memory(tmp_path / "m", HEADS)
    batch = batch_of([L] * B, L)
    assert torch.equal(model.loss(batch, model.initial_state(B))[0], loaded.loss(batch, loaded.initial_state(B))[0])
    assert (loaded.latent_dim, loaded.action_dim, loaded.training) == (Z, A, False)


def test_weights_of_other_sizes_are_refused(model: MDNRNN, tmp_path: Path) -> None:
    save_memory(tmp_path / "m", model)
    with pytest.raises(UserError, match="of another size"):
        load_memory(tmp_path / "m", MemoryConfig(hidden=H + 1, reward_head=True, done_head=True, restart_input=True))
    with pytest.raises(UserError, match="of another size"):
        load_memory(tmp_path / "m", MemoryConfig(hidden=H))


@pytest.mark.parametrize("size", [0, -1, "many", None, 10**15, 1.5, [3]])
def test_a_file_with_impossible_sizes_is_refused(model: MDNRNN, tmp_path: Path, size: object) -> None:
    save_tensors(tmp_path / "m", model.state_dict(), latent_dim=size, action_dim=A)
    with pytest.raises(UserError):
        load_memory(tmp_path / "m", HEADS)


def test_the_file_of_a_vision_model_is_refused(tmp_path: Path) -> None:
    save_vision(tmp_path / "v", build_vision(VisionConfig(model="counter", latent_dim=Z)))
    with pytest.raises(UserError):
        load_memory(tmp_path / "v", HEADS)


def test_options_that_ask_for_more_than_the_file_holds_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    config = MemoryConfig(hidden=4, mixtures=2)
    save_memory(tmp_path / "m", MDNRNN(config, 3, 1))
    for change in ({"hidden": 10**9}, {"mixtures": 10**9}):
        with pytest.raises(UserError, match=r"is of another size: the tensor .* has the shape"):
            load_memory(tmp_path / "m", replace(config, **change))
