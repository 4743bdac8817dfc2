import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from worldmodels.codes import code_values, nearest_code
from worldmodels.config import MemoryConfig
from worldmodels.dream.sampling import draw
from worldmodels.errors import UserError
from worldmodels.memory.heads import CodeHead, GaussianHead, head_for
from worldmodels.memory.mdn_rnn import MDNRNN, load_memory, save_memory
from worldmodels.memory.mixture import negative_log_likelihood, sample
from worldmodels.memory.stepper import Stepper
from worldmodels.tensors import load_tensors, save_tensors

Z, L, H = 3, 5, 6


@pytest.fixture
def memory() -> MDNRNN:
    torch.manual_seed(1)
    model = MDNRNN(MemoryConfig(hidden=H, reward_head=True, done_head=True), Z, 2, levels=L).eval()
    with torch.no_grad():
        model.head.weight.mul_(5)
    return model


def test_codes_lie_evenly_from_minus_one_to_one() -> None:
    assert code_values(5).tolist() == [-1, -0.5, 0, 0.5, 1]
    assert nearest_code(torch.tensor([-7.0, -1.0, -0.26, -0.24, 0.3, 1.0, 9.0]), 5).tolist() == [0, 0, 1, 2, 3, 4, 4]
    for levels in (2, 3, 8, 256):
        assert nearest_code(code_values(levels), levels).tolist() == list(range(levels))


def test_the_head_follows_the_kind_of_latent() -> None:
    assert isinstance(head_for(Z, 4, None), GaussianHead)
    assert isinstance(head_for(Z, 4, L), CodeHead)
    assert (head_for(Z, 4, None).width, head_for(Z, 4, L).width) == (3 * Z * 4, Z * L)


def test_the_likelihood_of_codes_is_their_cross_entropy() -> None:
    head, logits = CodeHead(Z, L), torch.randn(4, 7, Z * L)
    codes = torch.randint(L, (4, 7, Z))
    nll = head.nll(head.mixture(logits), code_values(L)[codes])
    expected = F.cross_entropy(logits.view(-1, L), codes.view(-1), reduction="none").view(4, 7, Z)
    assert torch.allclose(nll, expected)
    uniform = head.nll(head.mixture(torch.zeros(1, Z * L)), torch.zeros(1, Z))
    assert torch.allclose(uniform, torch.tensor(math.log(L)))


def test_as_a_mixture_codes_have_the_same_likelihood_up_to_the_density_of_a_point() -> None:
    head = CodeHead(Z, L)
    mixture, z = head.mixture(torch.randn(9, Z * L)), code_values(L)[torch.randint(L, (9, Z))]
    difference = negative_log_likelihood(mixture, z) - head.nll(mixture, z)
    assert torch.allclose(difference, torch.tensor(-7 + 0.5 * math.log(2 * math.pi)), atol=1e-4)


def test_samples_are_codes_drawn_as_their_probabilities_say() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5]])
    count, head = 20_000, CodeHead(1, L)
    for temperature in (0.5, 1.0, 2.0):
        mixture = head.mixture(logits.expand(count, -1))
        z = sample(mixture, temperature, torch.rand(count, 1), torch.randn(count, 1))
        code = nearest_code(z, L)
        assert (z - code_values(L)[code]).abs().max() < 0.01
        share = torch.bincount(code[:, 0], minlength=L) / count
        assert torch.allclose(share, torch.softmax(logits[0] / temperature, 0), atol=0.015)
    best = sample(head.mixture(logits), 0.0, torch.rand(1, 1), torch.randn(1, 1))
    assert best.item() == 0.0  # the value of code 2


def test_the_dreams_stepper_agrees(memory: MDNRNN) -> None:
    h, uniform, normal = torch.randn(4, H), torch.rand(4, Z), torch.randn(4, Z)
    prediction, expected = memory.predict(h), Stepper(memory).expect(h)
    assert torch.allclose(expected.logits, prediction.mixture.logits.transpose(1, 2), atol=1e-5)
    assert torch.allclose(expected.reward, prediction.reward, atol=1e-5)
    assert torch.allclose(expected.done, prediction.done, atol=1e-5)
    for temperature in (0.0, 1.0):
        z = draw(expected, temperature, uniform, normal)
        assert torch.allclose(z, sample(prediction.mixture, temperature, uniform, normal), atol=1e-5)


def test_m_of_codes_is_saved_and_loaded(memory: MDNRNN, tmp_path: Path) -> None:
    save_memory(tmp_path / "m", memory)
    loaded = load_memory(tmp_path / "m", memory.config)
    assert loaded.levels == L
    h = torch.randn(2, H)
    assert torch.equal(loaded.predict(h).mixture.logits, memory.predict(h).mixture.logits)


@pytest.mark.parametrize("levels", [1, "five", 100_000, 2.5])
def test_a_file_with_senseless_codes_is_refused(memory: MDNRNN, tmp_path: Path, levels: object) -> None:
    save_memory(tmp_path / "m", memory)
    tensors, metadata = load_tensors(tmp_path / "m")
    save_tensors(tmp_path / "m", tensors, **{**metadata, "levels": levels})
    with pytest.raises(UserError, match="speaks of codes of"):
        load_memory(tmp_path / "m", memory.config)
