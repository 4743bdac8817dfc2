"""Optimisers of C behind one protocol: ask for candidates, tell their fitness; each resumes by replaying fitnesses."""

from worldmodels.evolution.optimizers.base import Optimizer
from worldmodels.evolution.optimizers.cmaes import CMAES, SepCMAES
from worldmodels.evolution.optimizers.lra_cma import LRACMAES
from worldmodels.evolution.optimizers.openes import OpenES
from worldmodels.evolution.optimizers.pgpe import PGPE

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "cma": CMAES,
    "sep_cma": SepCMAES,
    "lra_cma": LRACMAES,
    "openes": OpenES,
    "pgpe": PGPE,
}
"""Optimisers by the value of `controllers.*.optimizer`."""

__all__ = ["OPTIMIZERS", "Optimizer"]
