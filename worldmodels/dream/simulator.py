"""A batch of dreams: M's step, a draw of what it expects, again."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from worldmodels.dream.guards import Guards
from worldmodels.dream.movers import mover_of
from worldmodels.dream.sampling import draw
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.starts import Starts
from worldmodels.memory.stepper import BLOCK
from worldmodels.noise import even, normal, uniform

START_STEP = -1
"""Step under which the noise of a dream's start is drawn."""
LEFT = 0.25
"""Ends are drawn even where they are to be weighed, once a dream's chance of having come so far is at most this: what
comes later counts little, and would take as long to compute."""


class Dreams(NamedTuple):
    """Dreams under way, a row each: its seed and step, whether M is told of a restart, and where it stands.

    `weight` is what a reward counts there: 1, or where ends are weighed the chance of having come so far.
    """

    seed: Int[Tensor, " n"]
    step: Int[Tensor, " n"]
    restart: Float[Tensor, " n"]
    weight: Float[Tensor, " n"]
    z: Float[Tensor, "n z"]
    h: Float[Tensor, "n h"]
    c: Float[Tensor, "n h"]


class Events(NamedTuple):
    """What a step brought to the dreams of `Simulator.lanes`: the reward, expected or 1, times its weight; the end."""

    reward: Float[Tensor, " n"]
    done: Bool[Tensor, " n"]


class Simulator:
    """Dreams in lanes 0..B-1, of which only those under way are computed, in whole blocks of rows.

    All randomness of a dream is a function of its seed and step. On the CPU its numbers do not depend on the other
    lanes, to the bit: rows come in blocks of one height, and kernels treat all rows of a block alike.

    Args:
        memory: M, in evaluation mode.
        starts: where dreams begin.
        lanes: number of lanes B.
        precision: of M's matrix products.
        guards: how the dreams differ from M's own.
        block: rows of a block.

    Attributes:
        lanes: int64 (n,), the lane of each row.
    """

    def __init__(
        self,
        memory: MDNRNN,
        starts: Starts,
        lanes: int,
        precision: torch.dtype = torch.float32,
        guards: Guards = Guards(),  # noqa: B008  # immutable
        block: int = BLOCK,
    ) -> None:
        self.memory, self.device, self.block = memory, memory.head.weight.device, block
        self.starts = Starts(*(tensor.to(self.device) for tensor in starts))
        self._mover, self._weighs = mover_of(memory, guards, precision, block), guards.ends == "weighed"
        self._half = even(memory.latent_dim)
        self._row = torch.full((lanes,), -1, device=self.device)
        self.lanes = torch.zeros(0, dtype=torch.int64, device=self.device)
        self._rows = self._starting(self.lanes)

    @property
    def of_one_shape(self) -> bool:
        """Whether a step does the same operations on the same sizes every time."""
        return self._mover.of_one_shape

    @property
    def dreams(self) -> Dreams:
        """The dreams under way, a row for each of `lanes`."""
        return Dreams(*(tensor[: len(self.lanes)] for tensor in self._rows[: len(Dreams._fields)]))

    def begin(self, lanes: Int[Tensor, " m"], seeds: Int[Tensor, " m"]) -> None:
        """Begin dreams in some lanes, in place of those that were under way there."""
        lanes, fresh = lanes.to(self.device), self._starting(seeds.to(self.device))
        rows = self._row[lanes]
        old, new = rows >= 0, rows < 0
        for tensor, started in zip(self._rows, fresh, strict=True):
            tensor[rows[old]] = started[old]
        if new.any():
            count = len(self.lanes)
            joined = [torch.cat([a[:count], b[new]]) for a, b in zip(self._rows, fresh, strict=True)]
            self._arrange(torch.cat([self.lanes, lanes[new]]), joined)

    def end(self, lanes: Int[Tensor, " m"]) -> None:
        """Compute the dreams of some lanes no longer; rows are moved only where that saves a block of work."""
        rows = self._row[lanes.to(self.device)]
        over, count = rows[rows >= 0], len(self.lanes)
        if self._filled(count - len(over)) < self._filled(count):
            under_way = torch.ones(count, dtype=torch.bool, device=self.device).index_fill_(0, over, False)
            self._arrange(self.lanes[under_way], [tensor[: len(under_way)][under_way] for tensor in self._rows])

    def _arrange(self, lanes: Int[Tensor, " n"], rows: Sequence[Tensor]) -> None:
        """Let the rows be these, filled up with zeros to whole blocks."""
        missing = self._filled(len(lanes)) - len(lanes)
        self._rows = tuple(torch.cat([part, part.new_zeros(missing, *part.shape[1:])]) for part in rows)
        self.lanes = lanes
        self._row.fill_(-1)
        self._row[lanes] = torch.arange(len(lanes), device=self.device)

    def _starting(self, seeds: Int[Tensor, " m"]) -> tuple[Tensor, ...]:
        """Dreams at their beginning: a latent drawn from a start's posterior, M's state there, what the mover keeps."""
        count = len(seeds)
        seeds = torch.cat([seeds, seeds.new_zeros(self._filled(count) - count)])
        numbers = uniform(seeds, torch.full_like(seeds, START_STEP), self._half + 1)
        pick = (numbers[:, self._half] * len(self.starts.mu)).long()
        mu, logvar, h, c, first = (tensor[pick] for tensor in self.starts)
        noise = normal(numbers[:, : self._half])[:, : self.memory.latent_dim]
        z = mu + torch.exp(0.5 * logvar) * noise
        dreams = Dreams(seeds, torch.zeros_like(seeds), first.float(), torch.ones_like(z[:, 0]), z, h, c)
        return tuple(part[:count] for part in (*dreams, *self._mover.begin(seeds, pick)))

    def step(self, action: Float[Tensor, "n a"], temperature: float) -> Events:
        """One step of all dreams, given the actions in `lanes`."""
        dreams, kept = Dreams(*self._rows[: len(Dreams._fields)]), self._rows[len(Dreams._fields) :]
        count, dim = len(self.lanes), self.memory.latent_dim
        action = torch.cat([action, action.new_zeros(len(dreams.z) - count, action.shape[1])])
        expected = self._mover.step(dreams.z, action, dreams.restart, dreams.h, dreams.c, kept)
        numbers = uniform(dreams.seed, dreams.step, dim + self._half + 1)
        noise = normal(numbers[:, dim : dim + self._half])[:, :dim]
        dreams.z.copy_(draw(expected, temperature, numbers[:, :dim], noise))
        dreams.step.add_(1)
        dreams.restart.zero_()
        reward = torch.ones_like(dreams.restart) if expected.reward is None else expected.reward
        done = torch.zeros_like(dreams.restart, dtype=torch.bool)
        if expected.done is not None:
            chance = torch.sigmoid(expected.done)
            done = numbers[:, -1] < chance
            if self._weighs:
                weighed = dreams.weight > LEFT
                reward, done = reward * dreams.weight, done & ~weighed
                dreams.weight.mul_(torch.where(weighed, 1 - chance, 1))
        return Events(reward[:count], done[:count])

    def _filled(self, rows: int) -> int:
        """Rows of the whole blocks that so many rows take."""
        return -(-rows // self.block) * self.block
