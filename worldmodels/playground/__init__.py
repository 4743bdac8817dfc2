"""Play inside an agent's dream, on a web page."""

from worldmodels.playground.serve import play_dream

__all__ = ["play_dream"]
