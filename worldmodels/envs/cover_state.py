"""The true state of a TakeCover game: where the player stands, and which fireball comes at it next."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodels.envs.state import Label

NEAR = 150.0
"""Map units ahead of the player: a fireball flies them in about half a second."""


class CoverState:
    """Reads the `info` of a TakeCover game that was made with `labels=True`.

    A fireball counts while it flies, ahead of the player and within the 90 degrees that the screen shows. What there
    is to say of the nearest one is NaN where there is none.
    """

    labels = (
        Label("position", "where the player stands, map units, right positive", "on the left", "on the right"),
        Label(
            "fireball_side", "the nearest fireball's place beside the player, map units", "to the left", "to the right"
        ),
        Label("fireball_ahead", "the nearest fireball's distance ahead of the player, map units", "close", "far"),
        Label("fireballs", "number of fireballs in sight", "few", "many"),
        Label("fireball_near", f"1 if a fireball is within {NEAR:g} map units, 0 if none is in sight", "none", "near"),
    )
    objects = "the fireballs"

    def read(self, info: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The labels (5,) and the fireballs' pixels."""
        x, y = info["player"]
        coming = [
            (ahead, side)
            for ahead, side, flies in ((fx - x, y - fy, vx or vy) for fx, fy, vx, vy in info["fireballs"])
            if flies and ahead > 0 and abs(side) <= ahead
        ]
        nearest = min(coming, key=lambda place: math.hypot(*place), default=(math.nan, math.nan))
        near = 0.0 if not coming else 1.0 if math.hypot(*nearest) < NEAR else math.nan
        numbers = np.array([-y, nearest[1], nearest[0], len(coming), near], np.float32)
        return numbers, info["fireball_pixels"]
