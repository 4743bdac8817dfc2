"""An agent in the real game, moment by moment, with all that V and M made of it."""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig
from worldmodels.memory.mdn_rnn import State
from worldmodels.memory.mixture import Mixture, sample
from worldmodels.pictures import Frames
from worldmodels.play import Policy
from worldmodels.real_world import RealWorld


class Moment(NamedTuple):
    """Time t of an episode.

    Attributes:
        step: t, from 0.
        frame: what the game shows at t, (64, 64, 3).
        z: V's latent of that frame, (1, Z).
        expected: the z that M, at t - 1, held most probable for t, (1, Z); None at t = 0.
        state: M's state at t, before it learns of z.
        action: what C does at t, (1, A).
        score: sum of the rewards up to t.
        over: whether the episode ended with this frame.
    """

    step: int
    frame: Frames
    z: Float[Tensor, "1 z"]
    expected: Float[Tensor, "1 z"] | None
    state: State
    action: NDArray[np.float32]
    score: float
    over: bool


def follow(agent: Agent, compute: ComputeConfig, seed: int, steps: int, score: bool = True) -> Iterator[Moment]:
    """The agent's episode with a seed, `steps` moments at most; `score`: in the game of the final scores."""
    with closing(agent.real_world(1, compute, score)) as world:
        yield from follow_in(world, agent.policy(1, 1), seed, steps)


def follow_in(world: RealWorld, policy: Policy, seed: int, steps: int) -> Iterator[Moment]:
    """The same for any world of one lane and any policy."""
    eyes = world.world_model
    assert eyes is not None
    policy.begin(0, 0, seed)
    features, _ = world.reset(seed=[seed])
    score, over = 0.0, False
    for step in range(steps):
        # the state took in the action of t - 1 but not yet z of t: what it predicts is for t
        expected = most_probable(eyes.predict().mixture) if step else None
        action = policy.act(features)
        yield Moment(step, world.frames[0].copy(), eyes.z, expected, eyes.state, action, score, over)
        if over:
            return
        features, rewards, terminated, truncated, _ = world.step(action)
        score += float(rewards[0])
        over = bool(terminated[0] | truncated[0])


def most_probable(mixture: Mixture) -> Float[Tensor, "b z"]:
    """The mean of each dimension's most probable Gaussian: a sample at temperature 0."""
    unused = torch.zeros(mixture.mean.shape[:-1])
    return sample(mixture, 0.0, unused, unused)
