"""Ends in M's own dreams: what it learns besides what it sees in the game's frames.

On real frames M may foresee ends well, and hardly ever come to such frames in its dreams, which are then too safe. So
dreams of some steps begin in the midst of each piece, under the actions that were really taken, and M learns to expect
in them the ends that really came (overshooting, as Hafner et al. 2019 do with latents, section 5).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from worldmodels.config import MemoryConfig
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, Sequences, State
from worldmodels.memory.mixture import sample

DREAMS = 2
"""Dreams of each piece."""


def check_open_loop(config: MemoryConfig) -> None:
    """Raise UserError if M cannot learn in dreams of so many steps."""
    if config.open_loop and not config.done_head:
        raise UserError("memory.open_loop teaches M of ends: give it memory.done_head, or leave the option out.")
    if config.open_loop > config.sequence:
        raise UserError(
            f"memory.open_loop is {config.open_loop} steps within sequences of {config.sequence}: "
            "make it smaller, or memory.sequence larger."
        )


def dreamt_ends(model: MDNRNN, batch: Sequences, state: State) -> Float[Tensor, ""]:
    """Mean cross-entropy, in nats a step, of the ends in dreams of `open_loop` steps at temperature 1, as on frames.

    All pieces' dreams begin at the same moments, drawn at random; up to there M follows the game, from `state` on. A
    step counts by the chance that the dream has come so far. Gradients flow through M's state, not through the latents
    that are drawn.
    """
    steps = model.config.open_loop
    moments = torch.randint(batch.action.shape[1] - steps + 1, (DREAMS,)).sort().values.tolist()
    dream = _states(model, batch, state, moments)
    z, alive = torch.cat([batch.z[:, moment] for moment in moments]), torch.ones_like(dream.h[:, 0])
    losses, weights = [], []
    for step in range(steps):
        action, restart, ended, real = (
            torch.cat([part[:, moment + step] for moment in moments])
            for part in (batch.action, batch.restart, batch.done, batch.valid)
        )
        dream = model.step(z, action, restart, dream)
        logit = F.linear(dream.h, model.head.weight[-1:], model.head.bias[-1:])[:, 0].float()
        counts = torch.where(ended > 0, model.config.done_weight, 1.0)
        losses.append(F.binary_cross_entropy_with_logits(logit, ended, counts, reduction="none"))
        weights.append(alive * real)
        with torch.no_grad():
            alive = alive * (1 - torch.sigmoid(logit))
            z = sample(model.predict(dream.h).mixture, 1.0, torch.rand_like(z), torch.randn_like(z))
    weight = torch.stack(weights)
    return (weight * torch.stack(losses)).sum() / weight.sum().clamp(min=1)


def _states(model: MDNRNN, batch: Sequences, state: State, moments: list[int]) -> State:
    """M's states before some steps of the pieces, in increasing order, those of the first step before the others."""
    found, last = [], 0
    for moment in moments:
        if moment > last:
            parts = batch.z[:, last:moment], batch.action[:, last:moment], batch.restart[:, last:moment]
            state, last = model.follow(*parts, state)[1], moment
        found.append(State(state.h.float(), state.c.float()))  # whatever the network computes in
    return State(*(torch.cat(parts) for parts in zip(*found, strict=True)))
