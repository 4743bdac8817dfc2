"""A game that counts, and a V that reads what it shows: whatever slips by one step between them is seen at once.

Child processes import this module too (the game's id is `counting:Counting-v0`), so nothing here belongs to pytest.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worldmodels.config import (
    CalibrateConfig,
    CollectConfig,
    ComputeConfig,
    Config,
    ControllerConfig,
    MemoryConfig,
    TaskConfig,
    VisionConfig,
)
from worldmodels.tensors import load_optimizer, optimizer_tensors
from worldmodels.vision import Posterior, VisionModel, register_vision

COUNT, LAST_ACTION, SEED = 0, 1, slice(2, 5)
"""Places of the numbers in a frame's top row and, divided by `SCALE`, in a latent."""
DIGITS = 5
SCALE = 16


def episode_length(seed: int) -> int:
    """Steps of the episode with a seed: 1 to 9."""
    return 1 + seed % 9


def terminates(seed: int) -> bool:
    """Whether the episode ends in the game rather than by a limit."""
    return seed % 2 == 0


def succeeds(seed: int) -> bool:
    """Whether the episode's last step reports a success."""
    return seed % 3 == 0


def shown_action(action: float) -> int:
    """The number that a frame shows for the action that led to it."""
    return round(100 * (action + 1))


def digits_of(seed: int, count: int, last: int) -> list[int]:
    """The numbers in a frame."""
    return [count, last, seed & 255, seed >> 8 & 255, seed >> 16 & 255]


def seed_in(digits: NDArray) -> NDArray[np.int64]:
    """The seed that numbers (..., 5) name."""
    return np.asarray(digits[..., SEED], np.int64) @ np.array([1, 256, 65536])


class Counting(gym.Env):
    """Step t shows t, the seed and the last action, and pays t + action / 4. Must not be stepped once it is over."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[NDArray[np.uint8], dict]:
        super().reset(seed=seed)
        self.own_seed, self.count, self.last, self.over = seed or 0, 0, 0, False
        return self._frame(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        assert not self.over, "a finished game was stepped"
        reward = self.count + float(action[0]) / 4
        self.count += 1
        self.last = shown_action(float(action[0]))
        self.over = self.count == episode_length(self.own_seed)
        ended = self.over and terminates(self.own_seed)
        info = {"won": self.over and succeeds(self.own_seed)}
        return self._frame(), reward, ended, self.over and not ended, info

    def render(self) -> NDArray[np.uint8]:
        return self._frame()

    def _frame(self) -> NDArray[np.uint8]:
        frame = np.zeros((64, 64, 3), np.uint8)
        frame[0, :DIGITS, 0] = digits_of(self.own_seed, self.count, self.last)
        frame[1:] = self.count * 20
        return frame


if "Counting-v0" not in gym.registry:
    gym.register("Counting-v0", entry_point=Counting)


@register_vision("counter")
class CounterVision(VisionModel):
    """Its latents are the numbers in a frame, without any variance. It learns one number, to have something to save."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config)
        self.number = nn.Parameter(torch.rand(()))
        self.optimizer = torch.optim.Adam(self.parameters(), lr=config.learning_rate)

    def encode(self, frames: Tensor) -> Posterior:
        digits = frames[:, 0, :DIGITS, 0].float() / SCALE
        return Posterior(digits, torch.full_like(digits, -1000))

    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(len(z), 64, 64, 3)

    def _loss(self, frames: Tensor, seed: int) -> Tensor:
        target = frames.float().mean() / 255 + torch.rand((), generator=torch.Generator().manual_seed(seed))
        return (self.number - target).square()

    def training_step(self, frames: Tensor, seed: int) -> dict[str, Tensor]:
        loss = self._loss(frames, seed)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def validate(self, frames: Tensor, seed: int) -> dict[str, Tensor]:
        return {"loss": self._loss(frames, seed).detach()}

    def training_state(self) -> dict[str, Tensor]:
        return optimizer_tensors(self.optimizer)

    def load_training_state(self, tensors: Mapping[str, Tensor]) -> None:
        load_optimizer(self.optimizer, tensors)


def tiny_config(vision: str = "counter", episodes: int = 12) -> Config:
    """Options of a whole run on the counting game that takes seconds."""
    evolved: dict[str, Any] = {
        "inputs": "zch",
        "population": 4,
        "rollouts": 2,
        "generations": 4,
        "validate_every": 2,
        "validation_episodes": 3,
    }
    return Config(
        task=TaskConfig(name="counting", env="counting:Counting-v0", max_steps=50, success_key="won"),
        seed=5,
        collect=CollectConfig(policy="uniform", episodes=episodes),
        vision=VisionConfig(model=vision, latent_dim=DIGITS, steps=6, batch=4, validate_every=2, validation_frames=6),
        memory=MemoryConfig(
            hidden=8,
            mixtures=2,
            reward_head=True,
            done_head=True,
            restart_input=True,
            steps=6,
            batch=3,
            sequence=4,
            validate_every=2,
            validation_episodes=2,
            start_states=8,
        ),
        calibrate=CalibrateConfig(episodes=3, temperatures=(1.0,)),
        controllers={
            "real": ControllerConfig(world="real", **evolved),
            "dream": ControllerConfig(world="dream", max_steps=20, **evolved),
        },
        compute=ComputeConfig(workers=0, device="cpu", precision="float32", lanes=3, dream_lanes=4),
    )
