"""Several models in V's place, on the same rollouts and with the same budgets."""

from worldmodels.compare.stage import compare_vision

__all__ = ["compare_vision"]
