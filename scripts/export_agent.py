"""Write a trained agent of a run as a checkpoint of its own, for `--checkpoint` and for sharing."""

from pathlib import Path

from worldmodels.cli import stage_main
from worldmodels.export import export_agent

if __name__ == "__main__":
    which = (str, "real", "Name of the controller whose agent is written.")
    where = (Path, Path("checkpoint"), "Folder to make.")
    kept = (bool, True, "Keep V and M in float16: half the size.")
    told = (str, "", "A remark for the model card on how the agent was made, e.g. on which machines.")
    stage_main(export_agent, [], name=which, to=where, half=kept, note=told)
