"""The imagined game: M's predictions played as if they were the world."""

from worldmodels.dream.guards import Guards
from worldmodels.dream.vector import DreamVectorEnv

__all__ = ["DreamVectorEnv", "Guards"]
