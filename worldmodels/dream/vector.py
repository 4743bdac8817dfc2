"""A batch of dreams as a Gymnasium vector environment."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.controller.form import feature_dim, features
from worldmodels.dream.guards import Guards
from worldmodels.dream.simulator import Simulator
from worldmodels.envs.actions import Squash
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.starts import Starts
from worldmodels.memory.stepper import BLOCK
from worldmodels.seeds import dream_seed, spread_seeds


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
        precision: of M's matrix products.
        guards: how the dreams differ from M's own.
        block: lanes that M computes at once, on the CPU; dreams are the same to the bit only at the same block.
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
        precision: torch.dtype = torch.float32,
        guards: Guards = Guards(),  # noqa: B008  # immutable
        block: int = BLOCK,
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
        self._simulator = Simulator(memory, starts, lanes, precision, guards, block)
        self._steps = np.zeros(lanes, np.int64)
        self.over = np.ones(lanes, bool)

    @torch.inference_mode()
    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin dreams in the lanes of `options["reset_mask"]` (all by default), each with its own seed."""
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, bool)), bool)
        if mask.any():
            given, lanes = spread_seeds(seed, self.num_envs), np.flatnonzero(mask)
            seeds = [dream_seed(self.np_random) if one is None else one for one in (given[lane] for lane in lanes)]
            self._simulator.begin(torch.from_numpy(lanes), torch.tensor(seeds))
            self._steps[mask], self.over[mask] = 0, False
        return self._observe(), {}

    @torch.inference_mode()
    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One step of every dream that is not over; what is over observes its last state, or zeros, and earns 0."""
        self._simulator.end(torch.from_numpy(np.flatnonzero(self.over)))
        lane = self._simulator.lanes
        events = self._simulator.step(torch.from_numpy(actions).to(lane.device)[lane], self.temperature)
        alive, under_way = ~self.over, lane.cpu().numpy()
        self._steps[alive] += 1
        rewards, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        rewards[under_way], terminated[under_way] = events.reward.cpu().numpy(), events.done.cpu().numpy()
        terminated &= alive
        truncated = (self._steps >= self.max_steps) & alive & ~terminated
        self.over |= terminated | truncated
        return self._observe(), rewards * alive, terminated, truncated, {"success": np.zeros(self.num_envs, bool)}

    @property
    def z(self) -> Float[Tensor, "b z"]:
        """The present latents; zeros in lanes that are not computed."""
        return self._by_lane(self._simulator.dreams.z)

    @property
    def state(self) -> State:
        """What M remembers; zeros in lanes that are not computed."""
        dreams = self._simulator.dreams
        return State(self._by_lane(dreams.h), self._by_lane(dreams.c))

    def _observe(self) -> NDArray[np.float32]:
        dreams = self._simulator.dreams
        return self._by_lane(features(self.inputs, dreams.z, dreams.h, dreams.c)).numpy()

    def _by_lane(self, rows: Float[Tensor, "n f"]) -> Float[Tensor, "b f"]:
        return torch.zeros(self.num_envs, rows.shape[1]).index_copy_(0, self._simulator.lanes.cpu(), rows.cpu())
