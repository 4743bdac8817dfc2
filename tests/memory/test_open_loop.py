"""What M learns of ends in its own dreams, against M on the frames that it cannot but dream of."""

import re

import pytest
import torch
import torch.nn.functional as F

from worldmodels.config import MemoryConfig
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, Sequences, State
from worldmodels.memory.open_loop import DREAMS, check_open_loop, dreamt_ends

B, L, K, Z, A, H = 7, 20, 8, 3, 2, 12
CONFIG = MemoryConfig(
    hidden=H, done_head=True, reward_head=True, restart_input=True, open_loop=K, sequence=L, done_weight=3.0
)


def sure_of(mean: float) -> MDNRNN:
    """An M with random ends that is sure of the next latent, whatever happened."""
    torch.manual_seed(3)
    model = MDNRNN(CONFIG, Z, A)
    with torch.no_grad():
        model.head.weight[:-2] = 0
        logits, means, log_sigmas = model.head.bias[:-2].unflatten(0, (3, Z, -1))
        logits.zero_(), means.fill_(mean), log_sigmas.fill_(-7)
        model.head.weight[-1].mul_(20)
    return model


def batch_of(mean: float, lengths: list[int]) -> Sequences:
    """Episodes of these lengths whose latents are all `mean`."""
    torch.manual_seed(4)
    step, length = torch.arange(L), torch.tensor(lengths)[:, None]
    return Sequences(
        z=torch.full((len(lengths), L + 1, Z), mean),
        action=torch.randn(len(lengths), L, A),
        restart=(step == 0).float().expand(len(lengths), L),
        reward=torch.zeros(len(lengths), L),
        done=(step == length - 1).float(),
        valid=step < length,
        has_next=step + 1 < length,
    )


def some_state() -> State:
    torch.manual_seed(5)
    return State(torch.randn(B, H), torch.randn(B, H))


@pytest.mark.parametrize("seed", range(4))
def test_a_dream_of_what_happened_tells_of_ends_what_m_tells_on_the_frames(seed: int) -> None:
    model, batch, state = sure_of(0.7), batch_of(0.7, [20, 13, 12, 9, 5, 2, 30]), some_state()
    torch.manual_seed(seed)
    moments = torch.randint(L - K + 1, (DREAMS,)).tolist()
    torch.manual_seed(seed)
    dreamt = dreamt_ends(model, batch, state)
    logits = model(batch.z[:, :-1], batch.action, batch.restart, state)[0].done
    total = count = 0.0
    for moment in moments:
        alive = torch.ones(B)
        for step in range(moment, moment + K):
            weight = alive * batch.valid[:, step]
            loss = F.binary_cross_entropy_with_logits(logits[:, step], batch.done[:, step], reduction="none")
            loss = loss * (1 + 2 * batch.done[:, step])
            total, count = total + (weight * loss).sum(), count + weight.sum()
            alive = alive * (1 - torch.sigmoid(logits[:, step]))
    assert dreamt.item() == pytest.approx((total / count).item(), rel=1e-2)
    assert count > 10


def test_m_learns_through_what_it_remembers_and_not_through_what_it_dreams() -> None:
    model, batch = sure_of(0.0), batch_of(0.0, [20] * B)
    dreamt_ends(model, batch, some_state()).backward()
    assert model.head.weight.grad is not None
    assert (model.head.weight.grad[:-1] == 0).all()
    assert (model.head.weight.grad[-1] != 0).any()
    gradients = [weight.grad for weight in model.recurrent[:3]]
    assert all(gradient is not None and (gradient != 0).any() for gradient in gradients)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"open_loop": 5}, "memory.open_loop teaches M of ends: give it memory.done_head"),
        ({"open_loop": 11, "done_head": True, "sequence": 10}, "memory.open_loop is 11 steps within sequences of 10"),
    ],
)
def test_dreams_that_teach_nothing_or_do_not_fit_are_refused(options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_open_loop(MemoryConfig(**options))
    check_open_loop(MemoryConfig(open_loop=10, done_head=True, sequence=10))
