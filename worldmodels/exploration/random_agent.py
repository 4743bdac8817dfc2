"""The exploring policy of the paper: an agent that has learned nothing."""

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.config import MemoryConfig, VisionConfig
from worldmodels.controller.form import ControllerForm, outputs
from worldmodels.envs.actions import Actions, Squash
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.seeds import torch_seed
from worldmodels.vision.base import build_vision
from worldmodels.world_model import WorldModel

MAX_STANDARD_DEVIATION = 0.01
"""The paper's code draws a random agent's weights with a standard deviation between 0 and this."""


class RandomAgent:
    """The paper's way to collect: V, M and C with random weights, as small as the authors' code draws them."""

    looks = True

    def __init__(self, vision_config: VisionConfig, memory_config: MemoryConfig, squash: Squash, seed: int) -> None:
        generator = torch.Generator().manual_seed(torch_seed(seed, "collect/random agent"))
        spread = MAX_STANDARD_DEVIATION * float(torch.rand((), generator=generator))
        vision = build_vision(vision_config).eval()
        memory = MDNRNN(memory_config, vision.latent_dim, squash.dim, vision.levels).eval()
        form = ControllerForm(vision.latent_dim + memory_config.hidden, squash.dim, bias=True)
        with torch.no_grad():
            for parameter in (*vision.parameters(), *(p for p in memory.parameters() if p.requires_grad)):
                parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
        self._controller = form.layers(spread * torch.randn(1, form.parameters, generator=generator).numpy())
        self._world_model, self._squash = WorldModel(vision, memory, lanes=1), squash

    def act(self, frame: NDArray[np.uint8]) -> Actions:
        """What the random agent does."""
        raw = outputs(self._controller, self._world_model.observe(frame[None]))
        actions = self._squash(raw.numpy())
        self._world_model.remember(actions)
        return actions[0]
