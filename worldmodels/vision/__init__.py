"""V: models that turn a frame into a latent and back."""

from worldmodels.vision import vae as _vae  # registers itself
from worldmodels.vision.base import (
    Posterior,
    VisionModel,
    build_vision,
    load_vision,
    register_vision,
    save_vision,
)

__all__ = ["Posterior", "VisionModel", "build_vision", "load_vision", "register_vision", "save_vision"]
del _vae
