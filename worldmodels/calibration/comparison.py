"""The dream beside the game: how each policy fares in both, and where they are apart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldmodels.play import Outcomes
from worldmodels.returns import statistics

Statistics = Mapping[str, Any]
"""As `worldmodels.returns.statistics` gives them."""
TOLERANCE = 0.3
"""The dream and the game are apart if their means differ by more than this share of the game's."""
CHANCE = 2.0
"""A difference of fewer standard errors than this may be chance."""


@dataclass(frozen=True)
class Entry:
    """How a player fares in one world.

    Attributes:
        player: a scripted policy, or an agent.
        temperature: of the dream; None in the game.
        steps, returns: statistics of the episodes' lengths and returns.
        steps_ratio, returns_ratio: the dream's mean divided by the game's; None in the game, and if the game's is 0.
    """

    player: str
    temperature: float | None
    steps: Statistics
    returns: Statistics
    steps_ratio: float | None
    returns_ratio: float | None


def compared(game: Mapping[str, Outcomes], dreams: Mapping[float, Mapping[str, Outcomes]]) -> list[Entry]:
    """Players in the game, and in dreams by temperature; a player's entries stand together, the game's first.

    A dream may lack some of the players.
    """
    found = []
    for player, real in game.items():
        steps, returns = _statistics(real)
        found.append(Entry(player, None, steps, returns, None, None))
        for temperature, outcomes in dreams.items():
            if player not in outcomes:
                continue
            here = _statistics(outcomes[player])
            ratios = (_ratio(here[0], steps), _ratio(here[1], returns))
            found.append(Entry(player, temperature, *here, *ratios))
    return found


def _statistics(outcomes: Outcomes) -> tuple[Statistics, Statistics]:
    """Of steps, and of returns."""
    return statistics(outcomes.lengths.astype(np.float64)), statistics(outcomes.returns)


def _ratio(dream: Statistics, game: Statistics) -> float | None:
    return float(dream["mean"] / game["mean"]) if game["mean"] else None


def complaints(entries: list[Entry], temperature: float, pays: bool) -> list[str]:
    """A sentence for each player whose dream at a temperature is apart from the game by more than `TOLERANCE`.

    Steps are compared and, if the game `pays` rewards of its own, returns. Since returns may be close to 0, their
    difference is measured against the median size of all players' returns where that is larger than the player's own.
    """
    typical = float(np.median([abs(entry.returns["mean"]) for entry in entries if entry.temperature is None]))
    game: Entry | None = None
    found = []
    for entry in entries:
        if entry.temperature is None:
            game = entry
        elif entry.temperature == temperature and game is not None:
            found += list(_complaints(entry, game, typical if pays else None))
    return found


def _complaints(dream: Entry, game: Entry, typical: float | None) -> Iterator[str]:
    apart = []
    if _is_apart(dream.steps, game.steps, game.steps["mean"]):
        apart.append(_difference("steps", dream.steps, game.steps))
    if typical is not None and _is_apart(dream.returns, game.returns, max(typical, abs(game.returns["mean"]))):
        apart.append(_difference("return", dream.returns, game.returns))
    if apart:
        yield f'The dream and the game are apart for "{dream.player}" at temperature {dream.temperature:g}: ' + (
            " and ".join(apart) + "."
        )


def _is_apart(dream: Statistics, game: Statistics, scale: float) -> bool:
    return bool(abs(dream["mean"] - game["mean"]) > TOLERANCE * scale)


def _difference(measure: str, dream: Statistics, game: Statistics) -> str:
    error = float(np.hypot(dream["sem"], game["sem"]))
    chance = abs(dream["mean"] - game["mean"]) < CHANCE * error
    words = f"{measure} {_with_error(dream)} in the dream and {_with_error(game)} in the game"
    return words + (" (within chance, calibrate.episodes is small)" if chance else "")


def _with_error(statistic: Statistics) -> str:
    return f"{statistic['mean']:.1f} ± {statistic['sem']:.1f}"
