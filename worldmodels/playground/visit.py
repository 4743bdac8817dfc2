"""One visitor's stay: a dream of one's own, driven by C, by hand or by both, at the game's own speed."""

import asyncio
import math
import secrets
import traceback
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodels.errors import UserError
from worldmodels.playground.beside import Beside, GameLost
from worldmodels.playground.buttons import neutral
from worldmodels.playground.cast import Role
from worldmodels.playground.outlet import Outlet, Shown
from worldmodels.playground.recordings import Recordings
from worldmodels.playground.scene import Dream, Game
from worldmodels.playground.threads import Dreamer, OwnThread
from worldmodels.playground.wishes import Wishes

REST = 3.0
"""Seconds after which a dream that has ended is followed by another, unless it is paused."""
MAX_LAG = 3
"""Steps that a dream may lag behind its time; what is more is not made up for."""


class Visit:
    """A visitor's dream, and the real game beside it if that is wanted.

    Args:
        cast: the agents to choose from.
        dreamer: paints the dreams of all visitors.
        scribe: writes the recordings of all visitors, one at a time.
        outlet: to the page.
        wishes: of the page.
        seed: of the first dream; a random one if it is None.

    Attributes:
        recordings: what the visitor records.
    """

    def __init__(
        self,
        cast: Mapping[str, Role],
        dreamer: Dreamer,
        scribe: OwnThread,
        outlet: Outlet,
        wishes: Wishes,
        seed: int | None,
    ) -> None:
        self._cast, self._dreamer, self._outlet, self._wishes = cast, dreamer, outlet, wishes
        self._seed = secrets.randbelow(2**31) if seed is None else seed
        self._now, _, self._input = wishes.take()
        self._due = 0.0
        self._rest_ends: float | None = None
        self._steps_asked = 0
        self._beside: Beside | None = None
        self.recordings = Recordings(scribe, outlet)

    async def run(self) -> None:
        """Dream for ever."""
        try:
            await self._enter()
            while True:
                self._show()
                await self._next_moment()
                await self._obey()
                if self._steps_asked or (self._now.playing and not self._watched.over):
                    await self._advance()
        finally:
            self._leave_game()
            self.recordings.close()

    @property
    def _watched(self) -> Dream | Game:
        """The world that C sees; the visit rests when it is over."""
        if self._beside is not None and self._now.watches == "game":
            return self._beside.game
        return self._dream

    async def _enter(self) -> None:
        """Take up the wished agent, in a fresh dream."""
        self._leave_game()
        self._role = self._cast[self._now.agent]
        agent = self._role.agent
        self._dream, self._policy = Dream(agent), agent.policy(1, 1)
        self._policy.begin(0, 0, 0)
        await self._renew()
        if self._now.game:
            await self._open_game()

    async def _renew(self, from_here: bool = False) -> None:
        """Begin the dream again: beside a game from its present moment, which is its first unless `from_here`."""
        if self._beside is not None and not from_here:
            try:
                await self._beside.begin(self._seed)
            except GameLost as lost:
                self._lose_game(lost)
        start = None if self._beside is None else self._beside.game.here()
        begin = partial(self._dream.begin, self._seed, start)
        self._picture = await self._dreamer.picture_of(self._role.painter, begin)
        self._proposed = self._action = neutral(self._role.agent.squash)

    async def _open_game(self) -> None:
        """Start the game, and the dream at its first frame."""
        self._outlet.say("note", text="The game is starting.")
        beside = Beside(self._role)
        try:
            await beside.open(self._seed)
        except GameLost as lost:
            beside.close()
            self._lose_game(lost)
            return
        except asyncio.CancelledError:
            beside.close()
            raise
        self._beside = beside
        await self._renew(from_here=True)

    def _lose_game(self, lost: GameLost) -> None:
        self._outlet.say("problem", text=str(lost))
        self._outlet.say("changed", game=False)
        self._wishes.change(game=False)
        self._leave_game()

    def _leave_game(self) -> None:
        if self._beside is not None:
            self._beside.close()
            self._beside = None

    async def _next_moment(self) -> None:
        """Wait for the time of the next step, or, where nothing moves by itself, for the page."""
        now = asyncio.get_running_loop().time()
        if not self._now.playing or self._watched.over:
            self._due = 0.0
            # whatever the page says meanwhile, the rest is over when it is over
            self._rest_ends = (self._rest_ends or now + REST) if self._now.playing else None
            try:
                async with asyncio.timeout_at(self._rest_ends):
                    await self._wishes.heard.wait()
            except TimeoutError:
                self._rest_ends = None
                self._wishes.add("renew")
            return
        self._rest_ends = None
        # all visitors step on the same beat, so that their frames are painted together
        period = 1 / self._role.agent.task.fps
        self._due += period
        if self._due < now - MAX_LAG * period:
            self._due = (math.floor(now / period) + 1) * period
        await asyncio.sleep(self._due - now)

    async def _obey(self) -> None:
        """Do what the page has asked for since the last step."""
        before = self._now
        self._now, once, self._input = self._wishes.take()
        self._steps_asked = 0
        if self._now.agent != before.agent:
            self.recordings.end()
            await self._enter()
        elif self._now.game and self._beside is None:
            await self._open_game()
        elif not self._now.game:
            self._leave_game()
        for what in once:
            await self._do(what)

    async def _do(self, what: str) -> None:
        match what:
            case "step":
                self._steps_asked = int(not self._watched.over)
            case "restart":
                await self._renew()
            case "renew":
                self._seed += 1
                await self._renew()
            case "from_game" if self._beside is not None:
                await self._renew(from_here=True)
            case "from_game":
                self._outlet.say("problem", text="The game is not running: there is no moment to dream on from.")
            case "record":
                self.recordings.begin(self._role.agent.task.fps, panes=len(self._pictures))
            case "stop":
                self.recordings.end()

    async def _advance(self) -> None:
        """One step of the dream, and of the game beside it, under the same action."""
        try:
            self._proposed = self._policy.act(self._watched.features)[0]
            if not np.isfinite(self._proposed).all():
                raise UserError("the agent's action is not a finite number, so its V, M or C is damaged.")
            self._action = self._driven()
            await asyncio.gather(self._dream_on(), self._play_on())
        except Exception as error:  # this visitor's dream is no other visitor's concern
            if not isinstance(error, UserError):
                traceback.print_exception(error)
            self._outlet.say("problem", text=f"The dream broke off: {error}")
            self._outlet.say("changed", playing=False)
            self._wishes.change(playing=False)
            self._now = self._wishes.now
            return
        self.recordings.add(self._pictures, *self._caption())

    def _driven(self) -> NDArray[np.float32]:
        """The action (A,) of whoever drives."""
        if self._now.mode == "agent":
            return self._proposed
        by_itself = self._proposed if self._now.mode == "shared" else neutral(self._role.agent.squash)
        return self._role.layout.overridden(by_itself, self._now.held)

    async def _dream_on(self) -> None:
        if not self._dream.over:
            step = partial(self._dream.step, self._action, self._now.temperature)
            self._picture = await self._dreamer.picture_of(self._role.painter, step)

    async def _play_on(self) -> None:
        if self._beside is not None and not self._beside.game.over:
            try:
                await self._beside.step(self._action)
            except GameLost as lost:
                self._lose_game(lost)

    @property
    def _pictures(self) -> list[NDArray[np.uint8]]:
        return [self._picture] if self._beside is None else [self._picture, self._beside.game.frame]

    def _caption(self) -> tuple[str, str]:
        """What stands under a recorded frame, at its left and its right."""
        score = f"    reward {self._dream.total:7.1f}" if self._dream.is_a_game else ""
        return f"step {self._dream.steps:4d}{score}", f"temperature {self._now.temperature:g}"

    def _show(self) -> None:
        """Send the present moment to the page."""
        dream, now = self._dream, self._now
        header: dict[str, Any] = {
            "input": self._input,
            "agent": now.agent,
            "seed": self._seed,
            "temperature": now.temperature,
            "resting": self._watched.over,
            "held": now.held,
            "action": [_number(value) for value in self._action],
            "proposed": [_number(value) for value in self._proposed],
            "entropy": _number(dream.entropy),
            "dream": _state(dream) | {"done": _number(dream.done)},
            "game": None,
            "recording": self.recordings.seconds,
        }
        if self._beside is not None:
            game = self._beside.game
            apart = float(np.sqrt(np.mean((dream.z - game.z) ** 2)))
            header["game"] = _state(game) | {"apart": _number(apart)}
        self._outlet.show(Shown(header, [dream.z, dream.doubt], self._pictures))


def _state(world: Dream | Game) -> dict[str, Any]:
    """What the page tells of a world."""
    total = None if world.reward is None and world.steps else _number(world.total)
    return {"step": world.steps, "reward": _number(world.reward), "total": total, "over": world.over}


def _number(value: Any) -> float | None:
    """A number for JSON, which knows none that is not finite."""
    return float(value) if value is not None and math.isfinite(value) else None
