"""The paper's MDN-RNN (appendix A.2): p(z' | a, z, h) by an LSTM and a mixture for each latent dimension."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from worldmodels.config import MemoryConfig
from worldmodels.errors import UserError
from worldmodels.memory.heads import head_for
from worldmodels.memory.mixture import Mixture
from worldmodels.tensors import load_tensors, load_weights, save_tensors


class State(NamedTuple):
    """What M remembers: the LSTM's hidden and cell state."""

    h: Float[Tensor, "b h"]
    c: Float[Tensor, "b h"]


class Prediction(NamedTuple):
    """What M expects after an action: the next latent and, if it has the heads, the reward and the end's log-odds."""

    mixture: Mixture
    reward: Float[Tensor, "*b"] | None
    done: Float[Tensor, "*b"] | None


class Sequences(NamedTuple):
    """A batch of B pieces of episodes, L steps long, padded at the end.

    `z` holds one latent more than there are steps: those of steps 0..L-1 are inputs, those of 1..L targets. `valid`
    marks real steps, `has_next` those whose next latent exists (not an episode's last step). `restart` is 1 on an
    episode's first step.
    """

    z: Float[Tensor, "b l1 z"]
    action: Float[Tensor, "b l a"]
    restart: Float[Tensor, "b l"]
    reward: Float[Tensor, "b l"]
    done: Float[Tensor, "b l"]
    valid: Bool[Tensor, "b l"]
    has_next: Bool[Tensor, "b l"]


class MDNRNN(nn.Module):
    """M. With the paper's options it has 422,368 parameters for CarRacing and 1,678,785 for TakeCover.

    Args:
        config: its sizes and heads.
        latent_dim, action_dim: sizes of z and of an action.
        levels: how many values each dimension of z takes; None if it is continuous.
    """

    def __init__(self, config: MemoryConfig, latent_dim: int, action_dim: int, levels: int | None = None) -> None:
        super().__init__()
        self.config, self.latent_dim, self.action_dim, self.levels = config, latent_dim, action_dim, levels
        self.output = head_for(latent_dim, config.mixtures, levels)
        hidden = config.hidden
        self.lstm = nn.LSTM(latent_dim + action_dim + config.restart_input, hidden, batch_first=True)
        heads = config.reward_head + config.done_head
        self.head = nn.Linear(hidden, self.output.width + heads)
        self._initialise()

    @property
    def recurrent(self) -> list[nn.Parameter]:
        """The LSTM's input weights, recurrent weights, and torch's two biases; gates are i, f, g, o."""
        return self.lstm._flat_weights  # type: ignore[return-value]

    def _initialise(self) -> None:
        """Glorot weights, one bias vector (torch's second is held at zero), forget gates open."""
        hidden = self.config.hidden
        input_weight, recurrent_weight, bias, second_bias = self.recurrent
        nn.init.xavier_uniform_(input_weight)
        nn.init.xavier_uniform_(recurrent_weight)
        nn.init.zeros_(bias)
        nn.init.zeros_(second_bias).requires_grad_(False)
        nn.init.ones_(bias[hidden : 2 * hidden])

    def initial_state(self, batch: int) -> State:
        """The state in which an episode begins: zeros (B, H)."""
        zeros = torch.zeros(batch, self.config.hidden, device=self.head.weight.device)
        return State(zeros, zeros.clone())  # of their own, for those who write into them

    def forward(
        self,
        z: Float[Tensor, "b l z"],
        action: Float[Tensor, "b l a"],
        restart: Float[Tensor, "b l"],
        state: State,
    ) -> tuple[Prediction, State]:
        """Predictions at every step of B sequences of L steps, and the state after the last.

        In training mode the heads are without some hidden units, other ones at every step: what is minimised is the
        same as with one mask a sequence, because a step's loss depends on that step's mask alone.
        """
        hidden, state = self.follow(z, action, restart, state)
        if self.training and self.config.dropout:
            hidden = F.dropout(hidden, self.config.dropout)
        return self.predict(hidden), state

    def follow(
        self,
        z: Float[Tensor, "b l z"],
        action: Float[Tensor, "b l a"],
        restart: Float[Tensor, "b l"],
        state: State,
    ) -> tuple[Float[Tensor, "b l h"], State]:
        """Hidden states after every step of B sequences of L steps, and the whole state after the last."""
        inputs = [z, action, restart[..., None]] if self.config.restart_input else [z, action]
        hidden, (h, c) = self.lstm(torch.cat(inputs, -1), (state.h[None], state.c[None]))
        return hidden, State(h[0], c[0])

    def step(
        self, z: Float[Tensor, "b z"], action: Float[Tensor, "b a"], restart: Float[Tensor, " b"], state: State
    ) -> State:
        """The state after one step of B sequences; `predict(state.h)` is what M then expects."""
        inputs = [z, action, restart[:, None]] if self.config.restart_input else [z, action]
        input_weight, recurrent_weight, bias, _ = self.recurrent
        gates = F.linear(torch.cat(inputs, -1), input_weight, bias) + F.linear(state.h, recurrent_weight)
        i, f, g, o = gates.chunk(4, -1)
        c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
        return State(torch.sigmoid(o) * torch.tanh(c), c)

    def predict(self, hidden: Float[Tensor, "*b h"]) -> Prediction:
        """The heads on hidden states."""
        outputs = self.head(hidden).float()  # mixtures are float32, whatever the network computes in
        size = self.output.width
        heads = list(outputs[..., size:].unbind(-1))
        reward = heads.pop(0) if self.config.reward_head else None
        done = heads.pop(0) if self.config.done_head else None
        return Prediction(self.output.mixture(outputs[..., :size]), reward, done)

    def loss(self, batch: Sequences, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        """What training minimises, its parts, and the state after the batch.

        `nll` is the mean negative log-likelihood in nats of a dimension of the next latent, for codes their
        cross-entropy; `reward` a mean squared error; `done` a binary cross-entropy in nats a step, the ends weighted by
        `done_weight`.
        """
        prediction, state = self(batch.z[:, :-1], batch.action, batch.restart, state)
        nll = self.output.nll(prediction.mixture, batch.z[:, 1:]).mean(-1)
        parts = {"nll": _mean(nll, batch.has_next)}
        total = parts["nll"]
        if prediction.reward is not None:
            parts["reward"] = _mean((prediction.reward - batch.reward).square(), batch.valid)
            total = total + self.config.reward_weight * parts["reward"]
        if prediction.done is not None:
            weight = torch.where(batch.done > 0, self.config.done_weight, 1.0)
            cross_entropy = F.binary_cross_entropy_with_logits(prediction.done, batch.done, weight, reduction="none")
            parts["done"] = _mean(cross_entropy, batch.valid)
            total = total + parts["done"]
        return total, {"loss": total} | parts, state


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Average of the values where the mask is true."""
    return (values * where).sum() / where.sum().clamp(min=1)


def save_memory(path: Path, model: MDNRNN, **metadata: Any) -> None:
    """Write M's weights and sizes; its options are kept by whoever keeps the file."""
    sizes = {"latent_dim": model.latent_dim, "action_dim": model.action_dim}
    sizes |= {} if model.levels is None else {"levels": model.levels}
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != ZERO_BIAS}
    save_tensors(path, weights, **sizes, **metadata)


def load_memory(path: Path, config: MemoryConfig) -> MDNRNN:
    """M in evaluation mode from its weights; UserError if they are damaged or of other sizes."""
    tensors, metadata = load_tensors(path)
    sizes = [metadata.get(name) for name in ("latent_dim", "action_dim")]
    latent_dim, action_dim = (size if isinstance(size, int) and 0 < size <= MAX_SIZE else 0 for size in sizes)
    if not latent_dim or not action_dim:
        raise UserError(f"{path} does not hold an M: it says nothing sensible about the sizes of z and of an action.")
    levels = metadata.get("levels")
    if levels is not None and not (isinstance(levels, int) and 1 < levels <= MAX_SIZE):
        raise UserError(f"{path} does not hold an M: it speaks of codes of {levels} values.")
    _check_sizes(tensors, config, latent_dim, action_dim, levels, path)
    model = MDNRNN(config, latent_dim, action_dim, levels)
    load_weights(model, tensors | {ZERO_BIAS: model.state_dict()[ZERO_BIAS]}, path)
    return model.eval()


def _check_sizes(
    tensors: Mapping[str, Tensor],
    config: MemoryConfig,
    latent_dim: int,
    action_dim: int,
    levels: int | None,
    path: Path,
) -> None:
    """Raise UserError if the weights are not of the sizes that the options say, before memory is taken for these."""
    heads = config.reward_head + config.done_head
    shapes = {
        "lstm.weight_ih_l0": (4 * config.hidden, latent_dim + action_dim + config.restart_input),
        "lstm.weight_hh_l0": (4 * config.hidden, config.hidden),
        "head.weight": (head_for(latent_dim, config.mixtures, levels).width + heads, config.hidden),
    }
    for name, shape in shapes.items():
        if name in tensors and tuple(tensors[name].shape) != shape:
            raise UserError(
                f"{path} is of another size: the tensor {name} has the shape {tuple(tensors[name].shape)}, not {shape}."
            )
    if missing := shapes.keys() - tensors.keys():
        raise UserError(f"{path} is of another model: the tensor {min(missing)} is missing.")


MAX_SIZE = 4096
"""A file that asks for a larger z or action, or for more codes, is damaged."""
ZERO_BIAS = "lstm.bias_hh_l0"
"""torch's second bias vector, which is held at zero and not saved."""
