"""What a visitor plays in: one dream, and if asked the real game beside it. Nothing here waits or knows of the web."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig
from worldmodels.dream import DreamVectorEnv
from worldmodels.memory.mixture import at_temperature, choice_entropy, deviation
from worldmodels.memory.starts import Starts
from worldmodels.pictures import Frames
from worldmodels.vision.base import EXACT


class Dream:
    """One dream of an agent's M, stepped from outside.

    Attributes:
        steps, total: steps dreamt, and the sum of the rewards that M predicted in them.
        reward: of the last step; None before the first, and if M predicts neither rewards nor ends.
        done: probability of the end that M gave in the last step; None before the first, or without a done head.
        entropy: of the choice among M's Gaussians at the present temperature, mean over dimensions, in nats; None
            before the first step.
        doubt: standard deviation of each latent as M expected it, (Z,); zeros before the first step.
        over: whether it has ended.
    """

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        memory = agent.memory.config
        self.is_a_game = memory.reward_head or memory.done_head
        self._at_home = self._world_from(agent.starts.only_first())
        self.begin(0)

    def _world_from(self, starts: Starts) -> DreamVectorEnv:
        agent, limit = self.agent, self.agent.task.max_steps
        return DreamVectorEnv(agent.memory, starts, agent.squash, 1, agent.config.inputs, max_steps=limit, block=1)

    def begin(self, seed: int, start: Starts | None = None) -> Float[Tensor, "1 z"]:
        """Begin anew, from one of M's starts or from the one given; returns the first latent."""
        self._world = self._at_home if start is None else self._world_from(start)
        self.features, _ = self._world.reset(seed=[seed])
        self.steps, self.total, self.over = 0, 0.0, False
        self.reward: float | None = None
        self.done: float | None = None
        self.entropy: float | None = None
        self.doubt = np.zeros(self.agent.memory.latent_dim, np.float32)
        return self._world.z

    @property
    def z(self) -> NDArray[np.float32]:
        """The present latent (Z,)."""
        return self._world.z[0].numpy()

    def step(self, action: NDArray[np.float32], temperature: float) -> Float[Tensor, "1 z"]:
        """Dream on for a step under an action (A,); returns the next latent."""
        self._world.temperature = temperature
        self.features, rewards, terminated, truncated, _ = self._world.step(action[None])
        self.steps += 1
        if self.is_a_game:
            self.reward = float(rewards[0])
            self.total += self.reward
        self.over = bool(terminated[0] | truncated[0])
        self._ask_memory(temperature)
        return self._world.z

    @torch.inference_mode()
    def _ask_memory(self, temperature: float) -> None:
        """What M had expected of the step: it is asked once more, because the world keeps only what it drew."""
        expected = self.agent.memory.predict(self._world.state.h)
        mixture = at_temperature(expected.mixture, temperature)
        self.entropy = float(choice_entropy(mixture).mean())
        self.doubt = deviation(mixture)[0].numpy()
        self.done = None if expected.done is None else float(torch.sigmoid(expected.done[0]))


class Game:
    """The real game of the same agent, followed by V and M.

    Attributes:
        steps, total, reward, over: as of a `Dream`.
    """

    def __init__(self, agent: Agent, compute: ComputeConfig) -> None:
        self._world = agent.real_world(1, compute)
        assert self._world.world_model is not None
        self._eyes = self._world.world_model
        self.features = np.zeros((1, 0), np.float32)
        self.steps, self.total, self.reward, self.over = 0, 0.0, 0.0, True

    def begin(self, seed: int) -> None:
        """Begin an episode."""
        self.features, _ = self._world.reset(seed=[seed])
        self.steps, self.total, self.reward, self.over = 0, 0.0, 0.0, False

    def step(self, action: NDArray[np.float32]) -> None:
        """Play one step with an action (A,)."""
        self.features, rewards, terminated, truncated, _ = self._world.step(action[None])
        self.steps += 1
        self.reward = float(rewards[0])
        self.total += self.reward
        self.over = bool(terminated[0] | truncated[0])

    @property
    def frame(self) -> Frames:
        """What the game shows, uint8 (64, 64, 3)."""
        return self._world.frames[0].copy()

    @property
    def z(self) -> NDArray[np.float32]:
        """V's latent of it, (Z,)."""
        return self._eyes.z[0].numpy()

    def here(self) -> Starts:
        """The present moment as a start of dreams: V's latent of the frame, and what M remembers before it."""
        z, state = self._eyes.z, self._eyes.state
        return Starts(z, torch.full_like(z, EXACT), state.h, state.c, torch.tensor([self.steps == 0]))

    def close(self) -> None:
        """End the game."""
        self._world.close()
