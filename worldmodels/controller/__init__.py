"""C: the controller."""

from worldmodels.controller.form import ControllerForm

__all__ = ["ControllerForm"]
