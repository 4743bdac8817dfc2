"""V: models that turn a frame into a latent and back."""

from worldmodels.config import VisionConfig
from worldmodels.registry import register_vision
from worldmodels.vision.base import Posterior, VisionModel, build_vision, certain, load_vision, save_vision
from worldmodels.vision.single_loss import SingleLossModel

__all__ = [
    "Posterior",
    "SingleLossModel",
    "VisionConfig",
    "VisionModel",
    "build_vision",
    "certain",
    "load_vision",
    "register_vision",
    "save_vision",
]
