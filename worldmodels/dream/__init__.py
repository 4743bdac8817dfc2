"""The imagined game: M's predictions played as if they were the world."""

from worldmodels.dream.env import DreamEnv
from worldmodels.dream.envs import DreamEnvs
from worldmodels.dream.guards import Guards
from worldmodels.dream.interface import Interface
from worldmodels.dream.rollouts import DreamRollouts
from worldmodels.dream.vector import DreamVectorEnv

__all__ = ["DreamEnv", "DreamEnvs", "DreamRollouts", "DreamVectorEnv", "Guards", "Interface"]
