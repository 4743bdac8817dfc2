"""The real game beside a dream, in a thread of its own, so that a game that is slow, hangs or crashes harms nobody."""

import asyncio
import gc
import traceback
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from worldmodels.errors import UserError
from worldmodels.playground.cast import Role
from worldmodels.playground.scene import Game
from worldmodels.playground.threads import OwnThread

Result = TypeVar("Result")
DEADLINE = 20.0
"""Seconds that a game may take for anything, its start included."""


class GameLost(UserError):
    """The game is no more."""


class Beside:
    """A `Game` in its own thread. Every method raises GameLost if the game cannot be made, crashes or hangs."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._thread = OwnThread("game")
        self._made: Game | None = None

    @property
    def game(self) -> Game:
        """The game once it is open; it stands still between calls."""
        assert self._made is not None
        return self._made

    async def open(self, seed: int) -> None:
        """Make the game and begin an episode."""
        await self._do(self._make)
        await self.begin(seed)

    def _make(self) -> None:
        self._made = Game(self._role.agent, self._role.compute)

    async def begin(self, seed: int) -> None:
        """Begin an episode."""
        await self._do(partial(self.game.begin, seed))

    async def step(self, action: NDArray[np.float32]) -> None:
        """Play one step with an action (A,)."""
        await self._do(partial(self.game.step, action))

    async def _do(self, work: Callable[[], Result]) -> Result:
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._thread.do(work)
        except UserError as error:
            raise GameLost(str(error)) from error
        except TimeoutError as error:
            raise GameLost(f"The game has not answered for {DEADLINE:g} s, and the dream goes on alone.") from error
        except Exception as error:
            traceback.print_exception(error)
            reason = " ".join(str(error).split())[:200]
            crash = f"{type(error).__name__}: {reason}"
            raise GameLost(f"The game crashed ({crash}), and the dream goes on alone.") from error

    def close(self) -> None:
        """End the game as soon as its thread is free."""
        self._thread.end_with(self._end)

    def _end(self) -> None:
        if self._made is not None:
            self._made.close()
        self._made = None
        gc.collect()  # games hold themselves in cycles, and tens of megabytes each
