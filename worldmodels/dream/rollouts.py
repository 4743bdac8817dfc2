"""Whole episodes of a population inside the dream, without a look at them from outside: how a GPU dreams.

`worldmodels.play.play` asks a world for observations after every step; on a GPU these round trips would take longer
than the steps. Here candidates, dreams and scores stay on the device, and every few steps it is asked what is over.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.controller.form import ControllerForm, Layer, features, outputs
from worldmodels.dream.guards import Guards
from worldmodels.dream.simulator import Events, Simulator
from worldmodels.envs.actions import Squash
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.starts import Starts

STEPS = 16
"""Steps between two looks at which dreams are over."""
BLOCKS = 8
"""Dreams that are over are dropped whenever this part of a batch can be saved."""
NEVER = 2**62
"""A number of steps that no dream comes to."""


@dataclasses.dataclass(frozen=True)
class Tally:
    """How n dreams go, on the device.

    Attributes:
        returns: sums of rewards so far.
        lengths: steps so far.
        waiting: steps since the last positive reward.
        alive: whether the dream goes on.
        sound: whether all actions were finite numbers.
    """

    returns: Float[Tensor, " n"]
    lengths: Int[Tensor, " n"]
    waiting: Int[Tensor, " n"]
    alive: Bool[Tensor, " n"]
    sound: Bool[Tensor, " n"]

    @classmethod
    def begin(cls, count: int, device: torch.device) -> "Tally":
        """Of dreams that have not taken a step."""
        steps = torch.zeros(2, count, dtype=torch.int64, device=device)
        alive = torch.ones(2, count, dtype=torch.bool, device=device)
        return cls(torch.zeros(count, dtype=torch.float64, device=device), *steps, *alive)

    def add(
        self, lanes: Int[Tensor, " r"], action: Float[Tensor, "r a"], events: Events, limit: int, patience: int
    ) -> None:
        """Count a step of some dreams; those that are over stay as they are."""
        alive = self.alive[lanes]
        lengths = self.lengths[lanes] + alive
        waiting = torch.where(events.reward > 0, 0, self.waiting[lanes] + 1)
        self.returns.index_add_(0, lanes, torch.where(alive, events.reward, 0).double())
        self.lengths.index_copy_(0, lanes, lengths)
        self.waiting.index_copy_(0, lanes, waiting)
        self.sound.index_copy_(0, lanes, self.sound[lanes] & (action.isfinite().all(1) | ~alive))
        self.alive.index_copy_(0, lanes, alive & ~events.done & (lengths < limit) & (waiting < patience))


class DreamRollouts:
    """A batch of dreams on a device, each played to its end by a candidate of its own.

    The dreams are those of `DreamVectorEnv` with the same seeds, up to the device's rounding.

    Args:
        memory: M, in evaluation mode; it is copied to the device.
        starts: where dreams begin.
        squash: the game's actions.
        form: what the candidates' parameters stand for.
        inputs: what C sees: "z", "zh" or "zch".
        temperature: of the mixture.
        max_steps: step limit.
        lanes: dreams at once, at most.
        device: where all is computed.
        precision: of the matrix products.
        guards: how the dreams differ from M's own.
    """

    def __init__(
        self,
        memory: MDNRNN,
        starts: Starts,
        squash: Squash,
        form: ControllerForm,
        inputs: str,
        temperature: float,
        max_steps: int,
        lanes: int,
        device: torch.device,
        precision: torch.dtype,
        guards: Guards = Guards(),  # noqa: B008  # immutable
    ) -> None:
        self.memory, self.device = copy.deepcopy(memory).to(device), device
        self.starts, self.form, self.inputs = starts, form, inputs
        self._squashed = Squashed(squash, device)
        self.temperature, self.max_steps, self.lanes = temperature, max_steps, lanes
        self.precision, self.guards = precision, guards

    @torch.inference_mode()
    def play(
        self,
        candidates: NDArray[np.float32],
        players: NDArray[np.int64],
        seeds: NDArray[np.int64],
        patience: int | None = None,
        max_steps: int | None = None,
    ) -> Tally:
        """Play item i with seed `seeds[i]` by candidate `players[i]` of (N, P), each to its end, or till it is cut.

        Args:
            candidates: parameters (N, P).
            players, seeds: (I,).
            patience: cut a dream after so many steps without a positive reward.
            max_steps: cut it after so many steps.

        Returns:
            The tally of the I items, on the CPU.
        """
        layers = [(weight.to(self.device), bias.to(self.device)) for weight, bias in self.form.layers(candidates)]
        who, which = torch.from_numpy(players).to(self.device), torch.from_numpy(seeds).to(self.device)
        limit = min(self.max_steps, max_steps or self.max_steps)
        parts = []
        for player, seed in zip(who.split(self.lanes), which.split(self.lanes), strict=True):
            tally = Tally.begin(len(seed), self.device)
            self._play(layers, player, seed, tally, limit, patience or NEVER)
            parts.append(dataclasses.astuple(tally))
        return Tally(*(torch.cat(columns).cpu() for columns in zip(*parts, strict=True)))

    def _play(
        self,
        layers: Sequence[Layer],
        player: Int[Tensor, " i"],
        seed: Int[Tensor, " i"],
        tally: Tally,
        limit: int,
        patience: int,
    ) -> None:
        """Play one batch of dreams to their ends."""
        count = len(seed)
        block = 64 * -(-count // (64 * BLOCKS))
        simulator = Simulator(self.memory, self.starts, count, self.precision, self.guards, block)
        simulator.begin(torch.arange(count), seed)
        while len(lanes := simulator.lanes):
            own = [(weight[player[lanes]], bias[player[lanes]]) for weight, bias in layers]
            step = partial(self._step, simulator, own, tally, limit, patience)
            # `step` has to stay: the recording reads and writes its tensors where they lie
            again = _recorded(step) if self.device.type == "cuda" and simulator.of_one_shape else step
            while simulator.lanes is lanes:  # until rows are dropped
                for _ in range(STEPS):
                    again()
                simulator.end((~tally.alive).nonzero()[:, 0])

    def _step(
        self,
        simulator: Simulator,
        layers: Sequence[Layer],
        tally: Tally,
        limit: int,
        patience: int,
    ) -> None:
        """One step of all dreams under way, each row by a candidate of its own."""
        dreams, lanes = simulator.dreams, simulator.lanes
        action = self._squashed(outputs(layers, features(self.inputs, dreams.z, dreams.h, dreams.c)))
        tally.add(lanes, action, simulator.step(action, self.temperature), limit, patience)


def _recorded(step: Callable[[], None]) -> Callable[[], None]:
    """The same step as a CUDA graph, launched as a whole instead of kernel by kernel. One step is taken before."""
    step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class Squashed:
    """`Squash` for tensors on a device."""

    def __init__(self, squash: Squash, device: torch.device) -> None:
        self._choices = squash.choices
        self._low, self._high = (torch.tensor(bound, device=device) for bound in (squash.low, squash.high))
        self._clip = torch.tensor(squash.clip, device=device)

    def __call__(self, raw: Float[Tensor, "b a"]) -> Float[Tensor, "b a"]:
        """Actions of outputs."""
        if not self._choices:
            tanh = raw.tanh()
            scaled = self._low + (tanh + 1) * (0.5 * (self._high - self._low))
            return torch.where(self._clip, tanh.clamp(0, 1), torch.minimum(scaled, self._high))
        scores = raw.split(self._choices, 1)
        chosen = torch.cat([torch.zeros_like(part).scatter_(1, part.argmax(1, True), 1) for part in scores], 1)
        return torch.where(raw.isnan(), raw, chosen)  # no choice: whoever plays has to be told
