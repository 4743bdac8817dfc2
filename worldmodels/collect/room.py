"""How much of the disk a collection needs: from what was collected so far, or from a look at the game."""

import gymnasium as gym

from worldmodels.collect.progress import Sample
from worldmodels.data.planes import FrameCompressor
from worldmodels.seeds import TRAINING, stream

LOOK_STEPS = 300
"""So many steps of an episode are looked at."""
ROW_BYTES = 48
"""What a step takes beside its frame, an action of a few numbers included."""


def look(game: gym.Env, limit: int) -> Sample:
    """What random actions show of a game's episodes, which have at most `limit` steps; a longer look is not taken."""
    random, compress = stream(1, "collect/look"), FrameCompressor()
    squash = game.get_wrapper_attr("squash")
    frame, _ = game.reset(seed=TRAINING[0])
    taken, steps, over = 0, 0, False
    while not over and steps < min(limit, LOOK_STEPS):
        taken += len(compress(frame))
        frame, _, terminated, truncated, _ = game.step(squash.random(random))
        steps, over = steps + 1, bool(terminated or truncated)
    return Sample(taken / steps + ROW_BYTES, steps if over else limit)
