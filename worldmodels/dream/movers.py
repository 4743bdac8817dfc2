"""What moves a dream's world: M alone, one of several Ms a dream, or M at a price for what several Ms disagree on."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from worldmodels.dream.guards import Guards
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.stepper import Expected, Stepper
from worldmodels.noise import uniform

MASK_STEP, MEMBER_STEP = -2, -3
"""Steps under which a dream's dropout mask and its member are drawn."""

Kept = tuple[Tensor, ...]
"""What a mover keeps of each dream, a row each: begun by `begin`, changed in place by `step`."""


class Mover:
    """M alone. Some hidden units may be hidden from its heads for the whole of a dream; what C sees has them all.

    Args:
        memory: M.
        guards: how the dream differs from M's own.
        precision: of the matrix products.
        block: rows of a matrix product on the CPU.

    Attributes:
        of_one_shape: whether a step does the same operations on the same sizes every time.
    """

    of_one_shape = True

    def __init__(self, memory: MDNRNN, guards: Guards, precision: torch.dtype, block: int) -> None:
        self._first, self._dropout = Stepper(memory, precision, block), guards.dropout

    def begin(self, seeds: Int[Tensor, " n"], pick: Int[Tensor, " n"]) -> Kept:
        """What is kept of dreams with these seeds that begin at these starts; the mask comes last."""
        if not self._dropout:
            return ()
        numbers = uniform(seeds, torch.full_like(seeds, MASK_STEP), self._first.hidden)
        return ((numbers >= self._dropout) / (1 - self._dropout),)

    def step(
        self,
        z: Float[Tensor, "n z"],
        action: Float[Tensor, "n a"],
        restart: Float[Tensor, " n"],
        h: Float[Tensor, "n h"],
        c: Float[Tensor, "n h"],
        kept: Kept,
    ) -> Expected:
        """Take in latents and actions, and say what comes next. `h` and `c`, what C sees of M, are changed in place."""
        self._first.step(z, action, restart, h, c)
        return self._first.expect(self._shown(h, kept))

    def _shown(self, h: Float[Tensor, "n h"], kept: Kept) -> Float[Tensor, "n h"]:
        """What the heads see."""
        return h * kept[-1] if self._dropout else h


class OneMember(Mover):
    """Each dream is moved by one of the Ms, drawn with equal chances; M steps too, for C's sake."""

    of_one_shape = False
    least = 0
    """The first M that may move a dream."""

    def __init__(self, memory: MDNRNN, guards: Guards, precision: torch.dtype, block: int) -> None:
        super().__init__(memory, guards, precision, block)
        device = memory.head.weight.device
        others = [Stepper(copy.deepcopy(other).to(device), precision, block) for other, _ in guards.others]
        self._steppers = [self._first, *others]
        self._h, self._c = (
            torch.stack([torch.zeros_like(tensors[0]), *tensors]).to(device)  # M's own state is the dream's
            for tensors in zip(*((starts.h, starts.c) for _, starts in guards.others), strict=True)
        )

    def begin(self, seeds: Int[Tensor, " n"], pick: Int[Tensor, " n"]) -> Kept:
        """The dream's member and what it remembers."""
        number = uniform(seeds, torch.full_like(seeds, MEMBER_STEP), 1)[:, 0]
        member = self.least + (number * (len(self._steppers) - self.least)).long()
        return member, self._h[member, pick], self._c[member, pick], *super().begin(seeds, pick)

    def step(
        self,
        z: Float[Tensor, "n z"],
        action: Float[Tensor, "n a"],
        restart: Float[Tensor, " n"],
        h: Float[Tensor, "n h"],
        c: Float[Tensor, "n h"],
        kept: Kept,
    ) -> Expected:
        """Each member steps the dreams that are its own, in whole blocks."""
        self._first.step(z, action, restart, h, c)
        member, own_h, own_c, *_ = kept
        groups = [(member == number).nonzero()[:, 0] for number in range(len(self._steppers))]
        own_h[groups[0]] = h[groups[0]]
        parts: list[Expected] = []
        for stepper, rows in zip(self._steppers, groups, strict=True):
            filled = torch.cat([rows, rows.new_zeros(-len(rows) % stepper.block)])
            if stepper is not self._first:
                their_h, their_c = own_h[filled], own_c[filled]
                stepper.step(z[filled], action[filled], restart[filled], their_h, their_c)
                own_h[rows], own_c[rows] = their_h[: len(rows)], their_c[: len(rows)]
            parts.append(stepper.expect(self._shown(own_h, kept)[filled]))
        return _in_place(parts, groups)


class AnotherMember(OneMember):
    """Each dream is moved by one of the Ms other than the first, whose state C sees.

    In M's own dream that state decides all that comes, so C foresees what no game would tell it. Another M's dream it
    has to watch, as it does a game.
    """

    least = 1


def _in_place(parts: Sequence[Expected], rows: Sequence[Int[Tensor, " _"]]) -> Expected:
    """One table of parts that are each of some rows, followed by rows that do not count."""
    place = torch.cat(list(rows)).argsort()

    def joined(columns: Sequence[Tensor | None]) -> Any:
        cut = [column[: len(of)] for column, of in zip(columns, rows, strict=True) if column is not None]
        return torch.cat(cut)[place] if cut else None

    return Expected(*(joined(columns) for columns in zip(*parts, strict=True)))


class Penalised(Mover):
    """M moves the world; what the Ms disagree on is taken off the reward."""

    def __init__(self, memory: MDNRNN, guards: Guards, precision: torch.dtype, block: int) -> None:
        super().__init__(memory, guards, precision, block)
        self._weight, device = guards.disagreement, memory.head.weight.device
        self._others = [
            (Stepper(copy.deepcopy(other).to(device), precision, block), starts.h.to(device), starts.c.to(device))
            for other, starts in guards.others
        ]

    def begin(self, seeds: Int[Tensor, " n"], pick: Int[Tensor, " n"]) -> Kept:
        """What the other Ms remember: h, c, h, c ..."""
        return *(state[pick] for _, *states in self._others for state in states), *super().begin(seeds, pick)

    def step(
        self,
        z: Float[Tensor, "n z"],
        action: Float[Tensor, "n a"],
        restart: Float[Tensor, " n"],
        h: Float[Tensor, "n h"],
        c: Float[Tensor, "n h"],
        kept: Kept,
    ) -> Expected:
        """All Ms take in the same world."""
        expected = super().step(z, action, restart, h, c, kept)
        opinions = [expected]
        for number, (stepper, *_) in enumerate(self._others):
            their_h, their_c = kept[2 * number : 2 * number + 2]
            stepper.step(z, action, restart, their_h, their_c)
            opinions.append(stepper.expect(self._shown(their_h, kept)))
        reward = torch.ones_like(restart) if expected.reward is None else expected.reward
        return expected._replace(reward=reward - self._weight * disagreement(opinions))


def disagreement(opinions: Sequence[Expected]) -> Float[Tensor, " n"]:
    """How far apart several Ms are, standard deviations over the Ms (their squared deviations averaged) throughout.

    That of the next latent's mean, averaged over its dimensions, plus that of the probability of the end and that of
    the reward, where there are such heads.
    """
    total = _spread([(torch.softmax(one.logits, 1) * one.mean).sum(1) for one in opinions]).mean(1)
    ends = [torch.sigmoid(one.done) for one in opinions if one.done is not None]
    rewards = [one.reward for one in opinions if one.reward is not None]
    for numbers in (ends, rewards):
        if numbers:
            total = total + _spread(numbers)
    return total


def _spread(values: Sequence[Tensor]) -> Tensor:
    """Standard deviation of each entry over the tensors; exactly 0 where all are equal."""
    return torch.stack([value - values[0] for value in values]).std(0, correction=0)


def mover_of(memory: MDNRNN, guards: Guards, precision: torch.dtype, block: int) -> Mover:
    """What the guards ask for."""
    kinds = {"none": Mover, "member": OneMember, "other": AnotherMember, "penalty": Penalised}
    return kinds[guards.ensemble](memory, guards, precision, block)
