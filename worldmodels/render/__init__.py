"""Videos of agents in the game and in the dream, figures of a run, and its report."""

from worldmodels.render.report import write_report
from worldmodels.render.stages import film_dreams, film_real, render_dream, render_real

__all__ = ["film_dreams", "film_real", "render_dream", "render_real", "write_report"]
