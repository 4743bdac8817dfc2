"""Stage 1: rollouts of exploring policies."""

from worldmodels.collect.stage import collect_rollouts

__all__ = ["collect_rollouts"]
