"""What a page wants: noted at once, done between two steps, the newest wish alone, so that nothing can pile up."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, fields, replace

from worldmodels.errors import UserError
from worldmodels.playground.protocol import Begin, Do, Hold, Mode, Set, World


@dataclass(frozen=True)
class Wish:
    """How things shall be: see `Begin`, and `held`, the buttons that are held."""

    agent: str
    temperature: float
    mode: Mode
    playing: bool
    game: bool
    watches: World
    held: tuple[str, ...] = ()


class Wishes:
    """The wishes of one page.

    Args:
        begin: the page's first message; without an agent it gets the first one.
        agents: names of those that there are.

    Attributes:
        now: how things shall be.
        heard: set when there is something new.
    """

    def __init__(self, begin: Begin, agents: Collection[str]) -> None:
        self._agents = agents
        agent = next(iter(agents)) if begin.agent is None else self._known(begin.agent)
        self.now = Wish(agent, begin.temperature, begin.mode, begin.playing, begin.game, begin.watches)
        self.heard = asyncio.Event()
        self._once: dict[str, None] = {}
        self._input = 0

    def _known(self, agent: str) -> str:
        if agent not in self._agents:
            raise UserError(f"There is no agent {agent} here.")
        return agent

    def hear(self, message: Set | Hold | Do) -> None:
        """Note a message; UserError if it asks for an agent that there is not."""
        match message:
            case Hold(buttons=buttons):
                self.change(held=buttons)
            case Set():
                given = {field.name: getattr(message, field.name, None) for field in fields(Wish)}
                if message.agent is not None:
                    self._known(message.agent)
                self.change(**{name: value for name, value in given.items() if value is not None})
            case Do(what=what):
                self.add(what)
        self._input = message.id
        self.heard.set()

    def change(self, **values: object) -> None:
        """Want some things to be otherwise."""
        self.now = replace(self.now, **values)  # type: ignore[arg-type]

    def add(self, what: str) -> None:
        """Want something to be done once."""
        self._once[what] = None

    def take(self) -> tuple[Wish, list[str], int]:
        """How things shall be, what shall be done once, and the number of the newest input among them."""
        self.heard.clear()
        once, self._once = list(self._once), {}
        return self.now, once, self._input
