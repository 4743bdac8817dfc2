"""Hand-made dreams: an untrained M that ends them as often as is asked for, seen through a V that paints at random."""

import gymnasium as gym
import torch
from torch import Tensor

from worldmodels.config import MemoryConfig, VisionConfig
from worldmodels.dream import DreamVectorEnv, Interface
from worldmodels.envs.actions import Squash, squash_for
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.starts import Starts
from worldmodels.vision.base import Posterior, VisionModel

Z, H = 5, 8
BOX = Squash((-1.0, 0.0), (1.0, 3.0), clip=(False, False))
DISCRETE = squash_for(gym.spaces.Discrete(3))
PAIRS = squash_for(gym.spaces.MultiDiscrete([2, 3]))


class Painter(VisionModel):
    """Each latent has a picture of noise; a frame is their weighted sum."""

    def __init__(self) -> None:
        super().__init__(VisionConfig(latent_dim=Z))
        self.pictures = torch.randn(Z, 64, 64, 3, generator=torch.Generator().manual_seed(6))

    def encode(self, frames: Tensor) -> Posterior:
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(torch.tensordot(z, self.pictures, 1))


def memory_of(squash: Squash, ends: float = -2.0) -> MDNRNN:
    """An M whose dreams end with the log-odds `ends`."""
    torch.manual_seed(4)
    memory = MDNRNN(MemoryConfig(hidden=H, mixtures=2, reward_head=True, done_head=True), Z, squash.dim).eval()
    with torch.no_grad():
        memory.head.weight[-1] = 0
        memory.head.bias[-1] = ends
    return memory


def interface_of(lanes: int = 1, observation: str = "features", squash: Squash = BOX, **options: float) -> Interface:
    """Some dreams of an untrained M, as a V with random weights shows them."""
    memory = memory_of(squash, options.pop("ends", -2.0))
    torch.manual_seed(5)
    starts = Starts(torch.randn(6, Z), torch.zeros(6, Z), torch.zeros(6, H), torch.zeros(6, H), torch.ones(6) > 0)
    return Interface(DreamVectorEnv(memory, starts, squash, lanes, **options), squash, Painter(), observation)
