"""M: the mixture-density recurrent network that predicts the next latent."""

from worldmodels.memory.mdn_rnn import MDNRNN, Prediction, Sequences, State
from worldmodels.memory.mixture import Mixture

__all__ = ["MDNRNN", "Mixture", "Prediction", "Sequences", "State"]
