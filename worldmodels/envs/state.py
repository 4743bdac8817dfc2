"""What a game knows about itself and a frame only shows: labels, for probes of what V and M know."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Label(NamedTuple):
    """One number of a game's state.

    Attributes:
        name: short, as in files and tables.
        meaning: what it is, with its unit; NaN stands for "there is none".
        low, high: words for its two ends, such as `slow` and `fast`.
    """

    name: str
    meaning: str
    low: str
    high: str


class StateReader(Protocol):
    """Reads the state of a game between its steps.

    Attributes:
        labels: what is read, L numbers.
        objects: what the small objects are that its masks mark, in words.
    """

    @property
    def labels(self) -> tuple[Label, ...]: ...

    @property
    def objects(self) -> str: ...

    def read(self, info: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The labels (L,) of what the game shows now, and the task frame's pixels (64, 64) that show small objects.

        `info` is what `reset` or `step` gave last.
        """
