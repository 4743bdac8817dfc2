import numpy as np
import torch
from scipy import stats
from torch import Tensor

from worldmodels.config import MemoryConfig, VisionConfig
from worldmodels.memory import MDNRNN
from worldmodels.vision import Posterior, VisionModel
from worldmodels.world_model import WorldModel

LANES, Z, H = 4, 3, 8


class Unsure(VisionModel):
    """A V that sees nothing and is unsure about it."""

    def __init__(self, latent_dim: int = Z) -> None:
        super().__init__(VisionConfig(latent_dim=latent_dim))

    def encode(self, frames: Tensor) -> Posterior:
        shape = (len(frames), self.latent_dim)
        return Posterior(torch.full(shape, 2.0), torch.full(shape, 2 * np.log(0.5)))


def world_model(lanes: int = LANES, **options: object) -> WorldModel:
    torch.manual_seed(1)
    memory = MDNRNN(MemoryConfig(hidden=H, restart_input=True), Z, 1).eval()
    return WorldModel(Unsure(), memory, lanes, **options)


def frames(lanes: int = LANES) -> np.ndarray:
    return np.zeros((lanes, 64, 64, 3), np.uint8)


def every(lanes: int = LANES) -> Tensor:
    return torch.ones(lanes, dtype=torch.bool)


def test_only_lanes_that_begin_anew_forget() -> None:
    model = world_model()
    model.reset(every(), [1, 2, 3, 4])
    model.observe(frames())
    model.remember(np.ones((LANES, 1), np.float32))
    before = model.state
    model.reset(torch.tensor([True, False, False, True]), [5, 6])
    assert not model.state.h[[0, 3]].any()
    assert torch.equal(model.state.h[1:3], before.h[1:3])
    assert model.step.tolist() == [0, 1, 1, 0]
    assert model.seed.tolist() == [5, 2, 3, 6]


def test_restart_is_fed_in_the_first_step_only() -> None:
    model = world_model(1)
    model.reset(every(1), [1])
    state = model.memory.initial_state(1)
    for flag in (1.0, 0.0, 0.0):
        model.observe(frames(1))
        action = np.array([[0.4]], np.float32)
        with torch.no_grad():
            state = model.memory.step(model.z, torch.from_numpy(action), torch.tensor([flag]), state)
        model.remember(action)
        assert torch.allclose(model.state.h, state.h, atol=1e-6)


def test_latents_are_means_unless_samples_are_asked_for() -> None:
    model = world_model()
    model.reset(every(), [1, 2, 3, 4])
    assert (model.observe(frames())[:, :Z] == 2).all()


def test_sampled_latents_follow_the_posterior() -> None:
    lanes = 2000
    model = world_model(lanes, sample=True)
    model.reset(every(lanes), list(range(lanes)))
    z = model.observe(frames(lanes))[:, :Z]
    for dimension in range(Z):
        assert stats.kstest(z[:, dimension].numpy(), "norm", (2, 0.5)).pvalue > 0.001


def test_sampled_latents_are_a_function_of_seed_and_step() -> None:
    one, other = world_model(sample=True), world_model(2, sample=True)
    one.reset(every(), [1, 2, 3, 4])
    other.reset(every(2), [4, 9])
    seen = []
    for _ in range(3):
        a, b = one.observe(frames()), other.observe(frames(2))
        assert torch.allclose(a[3], b[0], atol=1e-6)
        seen.append(a[0, 0].item())
        one.remember(np.zeros((LANES, 1), np.float32))
        other.remember(np.zeros((2, 1), np.float32))
    assert len(set(seen)) == 3


def test_m_predicts_from_what_it_remembers() -> None:
    model = world_model()
    model.reset(every(), [1, 2, 3, 4])
    model.observe(frames())
    model.remember(np.ones((LANES, 1), np.float32))
    expected = model.memory.predict(model.state.h.clone()).mixture.mean
    assert torch.allclose(model.predict().mixture.mean, expected)
