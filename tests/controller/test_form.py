import numpy as np
import pytest
import torch

from worldmodels.config import ControllerConfig
from worldmodels.controller import ControllerForm
from worldmodels.controller.form import feature_dim, features, outputs


def test_it_has_the_papers_number_of_parameters() -> None:
    assert ControllerForm.build(ControllerConfig(), latent_dim=32, memory=256, actions=3).parameters == 867
    take_cover = ControllerConfig(inputs="zch", bias=False)
    assert ControllerForm.build(take_cover, latent_dim=64, memory=512, actions=1).parameters == 1_088


def test_parameters_are_w_row_by_row_then_b() -> None:
    form = ControllerForm(features=3, actions=2, bias=True)
    ((weight, bias),) = form.layers(np.arange(8.0)[None])
    assert weight.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert bias.tolist() == [[6, 7]]


def test_each_controller_answers_to_its_own_features() -> None:
    form = ControllerForm(features=5, actions=2, bias=True)
    random = np.random.default_rng(0)
    candidates, seen = random.standard_normal((4, form.parameters)), random.standard_normal((4, 5)).astype(np.float32)
    answers = outputs(form.layers(candidates), torch.from_numpy(seen)).numpy()
    for candidate, see, answer in zip(candidates, seen, answers, strict=True):
        assert np.allclose(answer, candidate[:10].reshape(2, 5) @ see + candidate[10:], atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_a_hidden_layer_is_one_of_tanh(bias: bool) -> None:
    config = ControllerConfig(inputs="z", bias=bias, hidden=4)
    form = ControllerForm.build(config, latent_dim=5, memory=7, actions=2)
    assert form.parameters == (5 + bias) * 4 + (4 + bias) * 2
    random = np.random.default_rng(0)
    candidates, seen = random.standard_normal((3, form.parameters)), random.standard_normal((3, 5)).astype(np.float32)
    answers = outputs(form.layers(candidates), torch.from_numpy(seen)).numpy()
    for candidate, see, answer in zip(candidates, seen, answers, strict=True):
        first, second = np.split(candidate, [(5 + bias) * 4])
        units = np.tanh(first[:20].reshape(4, 5) @ see + (first[20:] if bias else 0))
        assert np.allclose(answer, second[:8].reshape(2, 4) @ units + (second[8:] if bias else 0), atol=1e-5)


def test_without_bias_nothing_seen_is_nothing_done() -> None:
    form = ControllerForm(features=5, actions=2, bias=False)
    assert not outputs(form.layers(np.ones((1, 10))), torch.zeros(1, 5)).any()


def test_features_stand_in_the_order_of_their_letters() -> None:
    z, h, c = torch.full((1, 2), 1.0), torch.full((1, 3), 2.0), torch.full((1, 3), 3.0)
    assert features("z", z, h, c).tolist() == [[1, 1]]
    assert features("zh", z, h, c).tolist() == [[1, 1, 2, 2, 2]]
    assert features("zch", z, h, c).tolist() == [[1, 1, 3, 3, 3, 2, 2, 2]]
    for inputs in ("z", "zh", "zch"):
        assert feature_dim(inputs, 2, 3) == features(inputs, z, h, c).shape[1]
