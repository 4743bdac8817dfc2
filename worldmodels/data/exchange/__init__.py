"""Bring your own data: episodes from elsewhere as a run's rollouts, and a run's rollouts for others."""

from worldmodels.data.exchange.export import export_rollouts
from worldmodels.data.exchange.stage import import_rollouts

__all__ = ["export_rollouts", "import_rollouts"]
