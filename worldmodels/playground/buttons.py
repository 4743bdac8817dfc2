"""What a person presses: keys and touch buttons for any game's action, and how they override an agent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from worldmodels.envs.actions import Squash

Place = Literal["left", "right", "up", "down", "row"]
LEFT, RIGHT, UP, DOWN = ("ArrowLeft", "KeyA"), ("ArrowRight", "KeyD"), ("ArrowUp", "KeyW"), ("ArrowDown", "KeyS")
PAIRS = ((LEFT, RIGHT), (DOWN, UP))
"""Keys of the first two-sided entries of an action: towards the low bound, towards the high one."""
PLACES: tuple[tuple[Place, Place], ...] = (("left", "right"), ("down", "up"))
DIGITS = "1234567890"


@dataclass(frozen=True)
class Button:
    """One button.

    Attributes:
        name: by which the page tells what is held.
        label: what stands on it.
        keys: keys that press it, as `KeyboardEvent.code` names them.
        sets: entries of the action and the values that they take while it is held.
        place: where it lies under the thumbs.
    """

    name: str
    label: str
    keys: tuple[str, ...]
    sets: tuple[tuple[int, float], ...]
    place: Place = "row"


@dataclass(frozen=True)
class Layout:
    """Names of an action's entries, and the buttons that set them."""

    entries: tuple[str, ...]
    buttons: tuple[Button, ...]

    def overridden(self, action: NDArray[np.float32], held: Sequence[str]) -> NDArray[np.float32]:
        """An action (A,) with the entries that the held buttons set; the one that was pressed last wins."""
        result = action.copy()
        by_name = {button.name: button for button in self.buttons}
        for name in held:
            for entry, value in by_name[name].sets if name in by_name else ():
                result[entry] = value
        return result


KNOWN = {
    "car_racing": Layout(
        ("steering", "gas", "brake"),
        (
            Button("left", "left", LEFT, ((0, -1.0),), "left"),
            Button("right", "right", RIGHT, ((0, 1.0),), "right"),
            Button("gas", "gas", UP, ((1, 1.0), (2, 0.0)), "up"),
            Button("brake", "brake", DOWN, ((1, 0.0), (2, 0.8)), "down"),  # at full brake the wheels lock
        ),
    ),
    "take_cover": Layout(
        ("sidestep",),
        (
            Button("left", "left", LEFT, ((0, -1.0),), "left"),
            Button("right", "right", RIGHT, ((0, 1.0),), "right"),
        ),
    ),
    "lunar_lander": Layout(
        ("main engine", "side engines"),
        (
            Button("left", "left", LEFT, ((1, -1.0),), "left"),
            Button("right", "right", RIGHT, ((1, 1.0),), "right"),
            Button("main", "engine", UP, ((0, 1.0),), "up"),
        ),
    ),
}
"""Layouts by the name of the task, for games whose entries have names; others get one from their action space."""


def layout_for(task: str, squash: Squash) -> Layout:
    """The layout of a task's actions."""
    known = KNOWN.get(task)
    if known is not None and len(known.entries) == squash.dim and not squash.choices:
        return known
    return _of_choices(squash) if squash.choices else _of_numbers(squash)


def neutral(squash: Squash) -> NDArray[np.float32]:
    """The action (A,) of somebody who holds nothing: as near to zero as the bounds allow, or the first choices."""
    if squash.choices:
        return squash(np.zeros((1, squash.dim), np.float32))[0]
    return np.clip(np.zeros(squash.dim, np.float32), squash.space.low, squash.space.high)


def _of_choices(squash: Squash) -> Layout:
    """A button a choice, on the digit keys in their order."""
    entries: list[str] = []
    buttons: list[Button] = []
    first = 0
    for group, size in enumerate(squash.choices):
        for choice in range(size):
            number = len(buttons)
            keys = (f"Digit{DIGITS[number]}",) if number < len(DIGITS) else ()
            sets = tuple((first + entry, float(entry == choice)) for entry in range(size))
            label = f"{choice + 1}" if len(squash.choices) == 1 else f"{group + 1}.{choice + 1}"
            entries.append(f"choice {label}")
            buttons.append(Button(f"choice{number}", label, keys, sets))
        first += size
    return Layout(tuple(entries), tuple(buttons))


def _of_numbers(squash: Squash) -> Layout:
    """A button to each bound of each entry, on the arrow keys as far as they go, then on the digits."""
    rest = neutral(squash)
    buttons: list[Button] = []
    for entry, bounds in enumerate(zip(squash.low, squash.high, strict=True)):
        for side, value in enumerate(bounds):
            if value == rest[entry]:
                continue  # nothing to hold: it is there already
            sign = "+" if side else "-"
            place: Place = PLACES[entry][side] if entry < len(PLACES) else "row"
            digit = len([button for button in buttons if button.place == "row"])
            keys: tuple[str, ...] = PAIRS[entry][side] if entry < len(PAIRS) else ()
            if place == "row" and digit < len(DIGITS):
                keys = (f"Digit{DIGITS[digit]}",)
            name = f"entry{entry}{'high' if side else 'low'}"
            buttons.append(Button(name, f"{entry + 1}{sign}", keys, ((entry, value),), place))
    return Layout(tuple(f"action {entry + 1}" for entry in range(squash.dim)), tuple(buttons))
