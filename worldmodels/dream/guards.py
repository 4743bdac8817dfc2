"""What keeps C from learning that which fools M rather than that which wins: options of a training dream."""

from dataclasses import dataclass, replace
from typing import Literal

from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.starts import Starts

Ensemble = Literal["none", "member", "other", "penalty"]
Ends = Literal["drawn", "weighed"]


@dataclass(frozen=True)
class Guards:
    """How a dream differs from what M alone would dream. C sees M's state, whatever moves the world.

    Attributes:
        dropout: share of the hidden units that the heads are without, the same ones for the whole of a dream (Wellmer &
            Kwok 2021, who mask the LSTM's inputs in this way).
        ensemble: "member": one of the Ms, drawn for each dream, moves the world. "other": one of those beside the first
            does. "penalty": the first does, and `disagreement` times that of all the Ms is taken off the reward.
        disagreement: weight of the penalty; see `worldmodels.dream.movers.disagreement`.
        others: the Ms beside the first, in evaluation mode, each with what it remembers at the dreams' starts.
        ends: "drawn" with the probabilities of the done head; or "weighed": a dream goes on, and its rewards count by
            the chance of having come so far, as long as that is more than `worldmodels.dream.simulator.LEFT`. The mean
            return is the same, its variance is smaller (Rao-Blackwell).
    """

    dropout: float = 0.0
    ensemble: Ensemble = "none"
    disagreement: float = 0.0
    others: tuple[tuple[MDNRNN, Starts], ...] = ()
    ends: Ends = "drawn"

    def only_first(self) -> "Guards":
        """The same for dreams that start at first frames."""
        others = tuple((memory, starts.only_first()) for memory, starts in self.others)
        return replace(self, others=others)
