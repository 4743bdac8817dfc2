"""Stage 1: collect rollouts of an exploring policy."""

from worldmodels.cli import stage_main
from worldmodels.collect import collect_rollouts

if __name__ == "__main__":
    stage_main(collect_rollouts, ["task", "seed", "collect", "compute"])
