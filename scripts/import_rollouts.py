"""Stage 1 with your own data: import episodes instead of collecting them."""

from pathlib import Path

from worldmodels.cli import stage_main
from worldmodels.data.exchange import import_rollouts

if __name__ == "__main__":
    folder = (Path | None, None, "Folder with one .npz file an episode.")
    name = (str | None, None, "Name of a Minari data set on this machine, e.g. `games/racing-v0`.")
    stage_main(import_rollouts, ["task", "seed", "compute"], npz=folder, minari=name)
