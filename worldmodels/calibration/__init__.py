"""Is the dream like the game? The same policies in both, and M's predictions beside what happened."""

from worldmodels.calibration.stage import check_dream, train_checked_memory

__all__ = ["check_dream", "train_checked_memory"]
