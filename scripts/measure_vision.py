"""Measure a run's V, and its M if there is one: reconstructions, samples, probes, predictions."""

from worldmodels.cli import stage_main
from worldmodels.measure import measure_vision

if __name__ == "__main__":
    stage_main(measure_vision, ["task", "measure", "compute"])
