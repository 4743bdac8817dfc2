"""Are M's heads honest? What they said at each step of held-out episodes, beside what happened."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.data.latents import Latents
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.sequences import whole_episodes

EDGES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Bounds of the bins of probabilities: ends are rare, so that most of what M says of them is small."""
BATCH = 16


@dataclass(frozen=True)
class Bin:
    """The steps at which M gave the end a probability from `low` to `high`.

    Attributes:
        low, high: bounds of the probability; `high` is outside, except for the last bin.
        steps: number of steps.
        predicted: mean probability; 0 without steps.
        observed: share of the steps that were ends; 0 without steps.
    """

    low: float
    high: float
    steps: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Ends:
    """Reliability of the done head.

    Attributes:
        bins: predicted probability against observed frequency.
        calibration_error: mean over all steps of their bin's |predicted - observed| (the expected calibration error).
        steps, expected, observed: number of steps, sum of the probabilities, number of ends.
        nats: cross-entropy a step.
        nats_rate: that of a head which knows only how often episodes end.
    """

    bins: tuple[Bin, ...]
    calibration_error: float
    steps: int
    expected: float
    observed: int
    nats: float
    nats_rate: float


@dataclass(frozen=True)
class Rewards:
    """Reliability of the reward head, a step.

    Attributes:
        expected, observed: mean reward that M expected, and that was paid.
        error: root mean squared error.
        error_mean: that of a head which knows only the mean.
    """

    expected: float
    observed: float
    error: float
    error_mean: float


@torch.inference_mode()
def head_errors(
    memory: MDNRNN, latents: Latents, episodes: NDArray[np.int64], seed: int
) -> tuple[Ends | None, Rewards | None]:
    """What M's heads said of every step of some episodes, as it followed them; None for a head that M does not have."""
    device = memory.head.weight.device
    said: dict[str, list[NDArray]] = {"end": [], "done": [], "expected": [], "reward": []}
    by_length = episodes[np.argsort(latents.lengths[episodes], kind="stable")]  # they are padded to the longest
    for group in np.array_split(by_length, -(-len(episodes) // BATCH)):
        batch = whole_episodes(latents, group, seed)
        inputs = (tensor.to(device) for tensor in (batch.z[:, :-1], batch.action, batch.restart))
        prediction, _ = memory(*inputs, memory.initial_state(len(group)))
        valid = batch.valid
        if prediction.done is not None:
            said["end"].append(torch.sigmoid(prediction.done.double()).cpu()[valid].numpy())
            said["done"].append(batch.done[valid].numpy() > 0)
        if prediction.reward is not None:
            said["expected"].append(prediction.reward.double().cpu()[valid].numpy())
            said["reward"].append(batch.reward[valid].double().numpy())
    ends = reliability(np.concatenate(said["end"]), np.concatenate(said["done"])) if said["end"] else None
    pairs = (np.concatenate(said[name]) for name in ("expected", "reward"))
    return ends, reward_errors(*pairs) if said["expected"] else None


def reliability(probability: NDArray[np.float64], happened: NDArray[np.bool_]) -> Ends:
    """Predicted probabilities (N,) against what happened."""
    place = np.clip(np.digitize(probability, EDGES) - 1, 0, len(EDGES) - 2)
    steps = np.bincount(place, minlength=len(EDGES) - 1)
    predicted = np.bincount(place, probability, len(EDGES) - 1) / steps.clip(1)
    observed = np.bincount(place, happened, len(EDGES) - 1) / steps.clip(1)
    rate = happened.mean()
    return Ends(
        bins=tuple(
            Bin(low, high, int(count), float(p), float(o))
            for low, high, count, p, o in zip(EDGES[:-1], EDGES[1:], steps, predicted, observed, strict=True)
        ),
        calibration_error=float((steps * np.abs(predicted - observed)).sum() / steps.sum()),
        steps=len(probability),
        expected=float(probability.sum()),
        observed=int(happened.sum()),
        nats=_cross_entropy(probability, happened),
        nats_rate=_cross_entropy(np.full(len(happened), rate), happened),
    )


def _cross_entropy(probability: NDArray[np.float64], happened: NDArray[np.bool_]) -> float:
    said = np.where(happened, probability, 1 - probability)
    return float(np.log(1 / said.clip(1e-12)).mean())


def reward_errors(expected: NDArray[np.float64], paid: NDArray[np.float64]) -> Rewards:
    """Expected rewards (N,) against those paid."""
    return Rewards(
        expected=float(expected.mean()),
        observed=float(paid.mean()),
        error=float(np.sqrt(np.square(expected - paid).mean())),
        error_mean=float(paid.std()),
    )
