"""What goes wrong with latents and with M's mixtures without any loss saying so, each as a sentence for the person."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.memory.mixture import LOG_SIGMA_RANGE, Mixture

DEAD = 0.05
"""A latent dimension is dead if its mean varies by less than this share of its own noise."""
ALL = 0.999
"""A Gaussian with so much of a dimension's weight, at every step, leaves the others nothing to do."""
MANY = 0.5
"""Share of the dimensions from which on something is said."""
BY_HEART = 1.5
"""A head that loses so many times as much on held-out episodes as on those that it learned from knows them by heart."""
TELLING = 32
"""Held-out episodes from which on such a ratio is more than luck."""


def dead_dimensions(mu: NDArray[np.float32], logvar: NDArray[np.float32]) -> NDArray[np.int64]:
    """The dimensions of posteriors (N, Z) that tell nothing about the frame that they are of."""
    spread, noise = mu.std(0, dtype=np.float64), np.exp(0.5 * logvar.astype(np.float64)).mean(0)
    return np.flatnonzero(spread <= DEAD * noise)


def dead_sentence(dead: NDArray[np.int64], latent_dim: int) -> str | None:
    """What to make of dead dimensions; None if most are alive."""
    if len(dead) < MANY * latent_dim:
        return None
    return (
        f"{len(dead)} of V's {latent_dim} latent dimensions are dead, the same for every frame: V was trained too "
        "short (vision.steps) or is held back (a vae's vision.beta), or the frames need no more (vision.latent_dim)."
    )


def collapse_sentence(mixture: Mixture) -> str | None:
    """Whether M's mixtures, of N steps (N, Z, K), have collapsed, and what is likely to blame; None if not."""
    flat = [share_of(mixture), floor_of(mixture)]
    dimensions, components = mixture.logits.shape[-2:]
    lone, sharp = (int((share >= ALL).sum()) for share in flat)
    if sharp >= MANY * dimensions:
        return (
            f"M is as sure as it can be, at every step, of {sharp} of {dimensions} latent dimensions: they hardly "
            "vary, as those of a V that was trained too short do, or the rollouts stand still (collect.policy)."
        )
    if components > 1 and lone >= MANY * dimensions:
        return (
            f"M uses one of its {components} Gaussians for {lone} of {dimensions} latent dimensions at all steps: "
            "train it longer, or with a lower memory.learning_rate; if it predicts well, fewer memory.mixtures do too."
        )
    return None


def share_of(mixture: Mixture) -> Float[Tensor, " z"]:
    """The weight of each dimension's most used Gaussian, averaged over steps."""
    return torch.softmax(mixture.logits, -1).flatten(0, -3).mean(0).amax(-1)


def floor_of(mixture: Mixture) -> Float[Tensor, " z"]:
    """The share of steps at which each dimension's most probable Gaussian is as narrow as is allowed."""
    best = mixture.logits.argmax(-1, keepdim=True)
    narrow = mixture.log_sigma.gather(-1, best).squeeze(-1) <= LOG_SIGMA_RANGE[0] + math.log(1.01)
    return narrow.flatten(0, -2).float().mean(0)


def by_heart_sentence(learned: Mapping[str, float], held_out: Mapping[str, float], episodes: int) -> str | None:
    """Whether M's heads know by heart how the episodes that they learned from go, from losses on as many of each kind.

    Such an M is too sure of itself: in its dreams nobody dies of what it has not seen. None if not, or if there are too
    few episodes to tell.
    """
    names = [name for name in ("done", "reward") if held_out.get(name, 0) > BY_HEART * learned.get(name, math.inf)]
    if episodes < TELLING or not names:
        return None
    losses = ", ".join(f"{name} {held_out[name]:.4f} there, {learned[name]:.4f} on its own" for name in names)
    return (
        f"M has learned its episodes by heart, and is too sure of itself in others (loss of {losses}): collect more "
        "episodes (collect.episodes), or train it with memory.dropout."
    )
