"""Compare models in V's place: the same rollouts, latent size and budgets, several seeds; a table and a figure."""

from pathlib import Path

from worldmodels.cli import stage_main
from worldmodels.compare import compare_vision

if __name__ == "__main__":
    source = (Path | None, None, "Folder of another run whose rollouts are used instead of collecting new ones.")
    stage_main(
        compare_vision,
        [
            "task", "seed", "collect", "vision", "memory", "controllers",
            "evaluate", "measure", "compare", "compute",
        ],
        rollouts=source,
    )  # fmt: skip
