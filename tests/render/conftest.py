"""A counting game with a V that reads the count and an M that knows the rule: whatever slips by a step shows."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.agent import Agent
from worldmodels.config import ControllerConfig, MemoryConfig, TaskConfig, VisionConfig
from worldmodels.envs.actions import squash_for
from worldmodels.memory.mdn_rnn import MDNRNN, Prediction, State
from worldmodels.memory.mixture import Mixture
from worldmodels.memory.starts import Starts
from worldmodels.memory.stepper import Expected
from worldmodels.real_world import RealWorld
from worldmodels.vision.base import Posterior, VisionModel, build_vision
from worldmodels.world_model import WorldModel

GAME = "worldmodels-tests/Counting-v0"


class CountingGame(gym.Env):
    """Shows a count as the brightness of its frame; a step adds the action, and one more at every other step."""

    observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    action_space = gym.spaces.Box(0, 3, (1,), np.float32)

    def __init__(self, length: int = 20) -> None:
        self.length = length
        self.count, self.steps = 0, 0

    def _frame(self) -> np.ndarray:
        return np.full((64, 64, 3), self.count, np.uint8)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.count, self.steps = 10, 0
        return self._frame(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.count += round(float(action[0])) + self.steps % 2
        self.steps += 1
        return self._frame(), 1.5, self.steps >= self.length, False, {}


class CountingVision(VisionModel):
    """z is the count."""

    def __init__(self) -> None:
        super().__init__(VisionConfig(latent_dim=1))

    def encode(self, frames: Tensor) -> Posterior:
        z = frames[:, 0, 0, :1].float()
        return Posterior(z, torch.zeros_like(z))

    def decode(self, z: Tensor) -> Tensor:
        return (z / 255)[:, :, None, None].expand(-1, 64, 64, 3)


class CountingMemory(MDNRNN):
    """Knows the game's rule: h is the next count, c the steps taken. The end comes when the count is past `end`."""

    def __init__(self, end: float = np.inf) -> None:
        super().__init__(MemoryConfig(hidden=1, done_head=bool(np.isfinite(end))), latent_dim=1, action_dim=1)
        self.end = end

    def step(self, z: Tensor, action: Tensor, restart: Tensor, state: State) -> State:
        assert (state.c[restart == 1] == 0).all()
        return State(z + action + state.c % 2, state.c + 1)

    def predict(self, hidden: Tensor) -> Prediction:
        means = torch.stack([hidden + 50, hidden], -1)  # the second, right one is the more probable
        mixture = Mixture(torch.tensor([0.0, 9.0]).expand_as(means), means, torch.full_like(means, -7.0))
        done = torch.where(hidden[:, 0] > self.end, 50.0, -50.0) if self.config.done_head else None
        return Prediction(mixture, None, done)


class PlainStepper:
    """Steps an M by its own methods."""

    def __init__(self, memory: MDNRNN, *how: object, **more: object) -> None:
        self.memory = memory

    def step(self, z: Tensor, action: Tensor, restart: Tensor, h: Tensor, c: Tensor) -> None:
        state = self.memory.step(z, action, restart, State(h, c))
        h.copy_(state.h)
        c.copy_(state.c)

    def expect(self, h: Tensor) -> Expected:
        mixture, reward, done = self.memory.predict(h)
        return Expected(*(part.transpose(1, 2) for part in mixture), reward, done)


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let M follow the counting rule, which is in no weights."""
    for user in ("worldmodels.dream.movers", "worldmodels.world_model"):
        monkeypatch.setattr(f"{user}.Stepper", PlainStepper)


class CountingPolicy:
    """Acts by what it sees: 1, 2 or 3."""

    def begin(self, lane: int, item: int, seed: int) -> None:
        pass

    def act(self, features: np.ndarray) -> np.ndarray:
        return (1 + np.rint(features[:, :1]) % 3).astype(np.float32)


@pytest.fixture
def world() -> RealWorld:
    return RealWorld(CountingGame, 1, WorldModel(CountingVision(), CountingMemory(), 1, "z"))


@pytest.fixture
def vision() -> CountingVision:
    return CountingVision()


@pytest.fixture
def memory() -> CountingMemory:
    return CountingMemory()


@pytest.fixture
def mortal_memory() -> CountingMemory:
    return CountingMemory(end=30)


@pytest.fixture
def policy() -> CountingPolicy:
    return CountingPolicy()


@pytest.fixture
def starts() -> Starts:
    """Two first frames, of counts 10 and 20, without spread."""
    z = torch.tensor([[10.0], [20.0]])
    zeros = torch.zeros(2, 1)
    return Starts(z, torch.full_like(z, -80.0), zeros, zeros, torch.ones(2, dtype=torch.bool))


@pytest.fixture
def agent() -> Agent:
    """A tiny, untrained agent of the counting game."""
    if GAME not in gym.registry:
        gym.register(GAME, CountingGame)
    torch.manual_seed(0)
    vision_config, memory_config = VisionConfig(latent_dim=4), MemoryConfig(hidden=8, mixtures=2)
    controller = ControllerConfig()
    starts = Starts(
        torch.randn(3, 4), torch.zeros(3, 4), torch.zeros(3, 8), torch.zeros(3, 8), torch.ones(3, dtype=torch.bool)
    )
    return Agent(
        task=TaskConfig(name="counting", env=GAME, fps=25.0),
        squash=squash_for(CountingGame.action_space),
        vision=build_vision(vision_config).eval(),
        memory=MDNRNN(memory_config, 4, 1).eval(),
        starts=starts,
        config=controller,
        parameters=np.zeros(4 + 8 + 1, np.float32),
    )
