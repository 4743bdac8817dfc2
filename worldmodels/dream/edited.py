"""Dreams that are interfered with while they go on."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.dream.vector import DreamVectorEnv


class EditedDreams(DreamVectorEnv):
    """Dreams in which every new latent is moved, z' = z + edit, before C sees it and M goes on from it.

    Lanes with the same seed dream the same, noise and all, as long as their edits are the same.

    Attributes:
        edit: float32 (B, Z), on the CPU, 0 at first, to be changed between steps.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.edit = torch.zeros_like(self.z)

    @torch.inference_mode()
    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One step of every dream."""
        _, rewards, terminated, truncated, infos = super().step(actions)
        dreams = self._simulator.dreams
        dreams.z.add_(self.edit[self._simulator.lanes.cpu()].to(dreams.z.device))  # rows of the simulator's own
        return self._observe(), rewards, terminated, truncated, infos
