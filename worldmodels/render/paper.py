"""The paper's scores (Ha & Schmidhuber 2018, tables 1 and 2): means and standard deviations of 100 episodes."""

from typing import NamedTuple


class PaperScore(NamedTuple):
    """One entry of the paper's tables.

    Attributes:
        agent: who.
        game: where, as the paper names it.
        temperature: of the dream that it trained in, where it did.
        score: mean and standard deviation of the returns.
    """

    agent: str
    game: str
    temperature: float | None
    score: tuple[float, float]


PAPER: dict[str, list[PaperScore]] = {
    "car_racing": [
        PaperScore("full world model (z and h)", "CarRacing-v0", None, (906, 21)),
        PaperScore("V only (z)", "CarRacing-v0", None, (632, 251)),
    ],
    "take_cover": [
        PaperScore("trained in the dream", "DoomTakeCover-v0", 1.15, (1092, 556)),
        PaperScore("trained in the dream", "its dream", 1.15, (918, 546)),
        PaperScore("random policy", "DoomTakeCover-v0", None, (210, 108)),
    ],
}
"""Scores by the name of the task."""
