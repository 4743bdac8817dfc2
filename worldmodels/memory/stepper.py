"""M's step for many lanes at once, in few and large operations: what the dream spends its time on."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from worldmodels.memory.heads import CodeHead
from worldmodels.memory.mdn_rnn import MDNRNN

BLOCK = 64
"""Rows of a matrix product on the CPU. Kernels round differently for other heights: with one height, a lane's numbers
do not depend on how many others there are."""
ALIGNED = 16
"""The products' rows begin at multiples of so many numbers: vector registers load from there without detours."""


class Expected(NamedTuple):
    """What M expects next: K Gaussians for each of Z dimensions (component before dimension), and its heads."""

    logits: Float[Tensor, "b k z"]
    mean: Float[Tensor, "b k z"]
    log_sigma: Float[Tensor, "b k z"]
    reward: Float[Tensor, " b"] | None
    done: Float[Tensor, " b"] | None


class Stepper:
    """The weights of an M, laid out for stepping.

    Beside `MDNRNN.step` and `predict`, which it agrees with: one product for the gates instead of two; gates in the
    order i, f, o, g, with g's weights doubled, since tanh(x) = 2 sigmoid(2 x) - 1 and torch's sigmoid is six times as
    fast as its tanh; mixture components before dimensions, so that sums over components run along memory.

    Args:
        memory: M.
        precision: of the matrix products; all else is float32.
        block: rows of a matrix product on the CPU.
    """

    def __init__(self, memory: MDNRNN, precision: torch.dtype = torch.float32, block: int = BLOCK) -> None:
        self.memory, self.precision, self.block = memory, precision, block
        self.hidden, self.latent_dim = memory.config.hidden, memory.latent_dim
        self._gates, self._gates_bias = self._lay_out_gates()
        self._heads, self._heads_bias = self._lay_out_heads()
        # components of codes do not depend on what M remembers: (K, 1) each
        fixed = memory.output.fixed if isinstance(memory.output, CodeHead) else ()
        self._fixed = [values[:, None].to(self._heads.device) for values in fixed]

    def _lay_out_gates(self) -> tuple[Tensor, Tensor]:
        """Weights (H + I, 4 H) for rows [h, z, a, restart, zeros], and their bias."""
        by_input, by_hidden, bias, _ = (tensor.detach() for tensor in self.memory.recurrent)
        joint = torch.cat([by_hidden, by_input, bias[:, None]], 1)
        i, f, g, o = joint.chunk(4)
        joint = torch.cat([i, f, o, 2 * g])
        weight = torch.nn.functional.pad(joint[:, :-1], (0, -joint[:, :-1].shape[1] % ALIGNED))
        return weight.t().contiguous().to(self.precision), joint[:, -1].to(self.precision)

    def _lay_out_heads(self) -> tuple[Tensor, Tensor]:
        """Weights (H, parts K Z + heads) and their bias, components before dimensions."""
        joint = torch.cat([self.memory.head.weight, self.memory.head.bias[:, None]], 1).detach()
        size, parts = self.memory.output.width, self.memory.output.parts
        mixture = joint[:size].unflatten(0, (parts, self.latent_dim, -1)).transpose(1, 2).flatten(0, 2)
        joint = torch.cat([mixture, joint[size:]])
        return joint[:, :-1].t().contiguous().to(self.precision), joint[:, -1].contiguous().to(self.precision)

    def step(
        self,
        z: Float[Tensor, "b z"],
        action: Float[Tensor, "b a"],
        restart: Float[Tensor, " b"],
        h: Float[Tensor, "b h"],
        c: Float[Tensor, "b h"],
    ) -> None:
        """Take in latents and actions: `h` and `c` are changed in place."""
        inputs = [h, z, action, restart[:, None]] if self.memory.config.restart_input else [h, z, action]
        gates = self._product(inputs, self._gates, self._gates_bias).sigmoid_()
        i, f, o, g = gates.chunk(4, 1)  # g: (tanh + 1) / 2
        c.mul_(f).addcmul_(i, g, value=2).sub_(i)
        torch.mul(o, torch.sigmoid_(2 * c).mul_(2).sub_(1), out=h)

    def expect(self, h: Float[Tensor, "b h"]) -> Expected:
        """The heads on hidden states."""
        outputs = self._product([h], self._heads, self._heads_bias)
        size, parts = self.memory.output.width, self.memory.output.parts
        learned = list(outputs[:, :size].unflatten(1, (parts, -1, self.latent_dim)).unbind(1))
        logits, mean, log_sigma = learned + [fixed.expand_as(learned[0]) for fixed in self._fixed]
        heads = list(outputs[:, size:].unbind(1))
        reward = heads.pop(0) if self.memory.config.reward_head else None
        done = heads.pop(0) if self.memory.config.done_head else None
        return Expected(logits, mean, log_sigma, reward, done)

    def _product(self, inputs: Sequence[Tensor], weight: Tensor, bias: Tensor) -> Float[Tensor, "b n"]:
        """[inputs, zeros] @ weight + bias, block by block."""
        lanes = len(inputs[0])
        block = self.block if weight.device.type == "cpu" else max(1, lanes)
        missing = len(weight) - sum(part.shape[1] for part in inputs)
        if missing:
            inputs = [*inputs, inputs[0].new_zeros(lanes, missing)]
        rows = torch.cat(list(inputs), 1).to(self.precision) if len(inputs) > 1 else inputs[0].to(self.precision)
        outputs = weight.new_empty(lanes, weight.shape[1])
        for start in range(0, lanes, block):
            torch.addmm(bias, rows[start : start + block], weight, out=outputs[start : start + block])
        return outputs.float()
