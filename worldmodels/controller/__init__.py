"""C: the linear controller."""

from worldmodels.controller.linear import LinearController

__all__ = ["LinearController"]
