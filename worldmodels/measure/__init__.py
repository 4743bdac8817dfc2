"""What V is worth: measures on held-out episodes that need no network from elsewhere."""

from worldmodels.measure.stage import measure_vision

__all__ = ["measure_vision"]
