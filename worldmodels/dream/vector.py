"""A batch of dreams as a Gymnasium vector environment: M's step, a sample of what it expects, again."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from worldmodels.controller.linear import feature_dim, features
from worldmodels.envs.actions import Squash
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.mixture import sample
from worldmodels.memory.starts import Starts
from worldmodels.noise import even, normal, uniform
from worldmodels.real_world import spread_seeds

START_STEP = -1
"""Step under which the noise of a dream's start is drawn."""


class DreamVectorEnv(VectorEnv):
    """B dreams side by side; observations are what C sees, float32 (B, F). It obeys the same rules as `RealWorld`.

    A dream begins with a latent drawn from a real frame's posterior; each step M takes in (z, a), and the next z is
    drawn from its mixture at a temperature. The reward is M's expected one, or 1 a step if it has no reward head. The
    episode ends by chance with the probability that the done head gives, or at the step limit. All randomness of a
    dream is a function of its seed.

    Args:
        memory: M, in evaluation mode.
        starts: where dreams begin.
        squash: the game's actions.
        lanes: number of dreams B.
        inputs: what C sees: "z", "zh" or "zch".
        temperature: of the mixture; 0 makes the latents deterministic.
        max_steps: step limit.
    """

    def __init__(
        self,
        memory: MDNRNN,
        starts: Starts,
        squash: Squash,
        lanes: int,
        inputs: str = "zh",
        temperature: float = 1.0,
        max_steps: int = 1000,
    ) -> None:
        if len(starts.mu) == 0:
            raise UserError("A dream has no start: M's stage kept none.")
        self.memory, self.starts, self.inputs = memory, starts, inputs
        self.num_envs, self.temperature, self.max_steps = lanes, temperature, max_steps
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        width = feature_dim(inputs, memory.latent_dim, memory.config.hidden)
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.single_action_space = squash.space
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, lanes)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, lanes)
        self.device = memory.head.weight.device
        self.state = memory.initial_state(lanes)
        self.z = torch.zeros(lanes, memory.latent_dim, device=self.device)
        self.restart = torch.zeros(lanes, device=self.device)
        self.seed = torch.zeros(lanes, dtype=torch.int64, device=self.device)
        self.steps = torch.zeros(lanes, dtype=torch.int64, device=self.device)
        self.over = np.ones(lanes, bool)

    @torch.inference_mode()
    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin dreams in the lanes of `options["reset_mask"]` (all by default), each with its own seed."""
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, bool)), bool)
        if mask.any():
            lanes = torch.from_numpy(np.flatnonzero(mask)).to(self.device)
            seeds = [
                s if s is not None else int(self.np_random.integers(2**62)) for s in spread_seeds(seed, self.num_envs)
            ]
            self._begin(lanes, torch.tensor(seeds, device=self.device)[lanes])
            self.over[mask] = False
        return self._observe(), {}

    def _begin(self, lanes: torch.Tensor, seeds: torch.Tensor) -> None:
        width = even(self.memory.latent_dim)
        numbers = uniform(seeds, torch.full_like(seeds, START_STEP), width + 1)
        pick = (numbers[:, width] * len(self.starts.mu)).long()
        mu, logvar, h, c, first = (tensor.to(self.device)[pick] for tensor in self.starts)
        noise = normal(numbers[:, :width])[:, : self.memory.latent_dim]
        self.z[lanes] = mu + torch.exp(0.5 * logvar) * noise
        self.state.h[lanes], self.state.c[lanes] = h, c
        self.restart[lanes], self.seed[lanes], self.steps[lanes] = first.float(), seeds, 0

    @torch.inference_mode()
    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One step of every dream."""
        taken = torch.from_numpy(actions).to(self.device)
        self.state = State(*self.memory.step(self.z, taken, self.restart, self.state))
        expected = self.memory.predict(self.state.h)
        dim = self.memory.latent_dim
        numbers = uniform(self.seed, self.steps, dim + even(dim) + 1)
        noise = normal(numbers[:, dim : dim + even(dim)])[:, :dim]
        self.z = sample(expected.mixture, self.temperature, numbers[:, :dim], noise)
        self.steps += 1
        self.restart.zero_()
        alive = ~self.over
        rewards = np.ones(self.num_envs) if expected.reward is None else expected.reward.double().cpu().numpy()
        terminated = np.zeros(self.num_envs, bool)
        if expected.done is not None:
            terminated = (numbers[:, -1] < torch.sigmoid(expected.done)).cpu().numpy() & alive
        truncated = (self.steps >= self.max_steps).cpu().numpy() & alive & ~terminated
        self.over |= terminated | truncated
        success = np.zeros(self.num_envs, bool)
        return self._observe(), rewards * alive, terminated, truncated, {"success": success}

    def _observe(self) -> NDArray[np.float32]:
        return features(self.inputs, self.z, self.state.h, self.state.c).cpu().numpy()
