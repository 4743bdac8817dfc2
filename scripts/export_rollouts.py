"""Export a run's rollouts as a Minari data set."""

import dataclasses

from worldmodels.cli import stage_main
from worldmodels.data.exchange import export_rollouts
from worldmodels.data.exchange.export import Format

if __name__ == "__main__":
    name = (str, dataclasses.field(kw_only=True), "Name of the new data set, e.g. `games/racing-v0`.")
    how = (Format, "hdf5", "How Minari stores it: hdf5 is what it prefers, parquet is several times smaller.")
    stage_main(export_rollouts, [], dataset=name, format=how)
