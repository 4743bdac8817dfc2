import numpy as np
import torch

from worldmodels.config import ControllerConfig
from worldmodels.controller import LinearController
from worldmodels.controller.linear import feature_dim, features, outputs


def test_it_has_the_papers_number_of_parameters() -> None:
    assert LinearController.build(ControllerConfig(), latent_dim=32, hidden=256, actions=3).parameters == 867
    take_cover = ControllerConfig(inputs="zch", bias=False)
    assert LinearController.build(take_cover, latent_dim=64, hidden=512, actions=1).parameters == 1_088


def test_parameters_are_w_row_by_row_then_b() -> None:
    form = LinearController(features=3, actions=2, bias=True)
    weight, bias = form.weights(np.arange(8.0)[None])
    assert weight.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert bias.tolist() == [[[6], [7]]]


def test_each_controller_answers_to_its_own_features() -> None:
    form = LinearController(features=5, actions=2, bias=True)
    random = np.random.default_rng(0)
    candidates, seen = random.standard_normal((4, form.parameters)), random.standard_normal((4, 5)).astype(np.float32)
    answers = outputs(*form.weights(candidates), torch.from_numpy(seen)).numpy()
    for candidate, see, answer in zip(candidates, seen, answers, strict=True):
        assert np.allclose(answer, candidate[:10].reshape(2, 5) @ see + candidate[10:], atol=1e-5)


def test_without_bias_nothing_seen_is_nothing_done() -> None:
    form = LinearController(features=5, actions=2, bias=False)
    assert not outputs(*form.weights(np.ones((1, 10))), torch.zeros(1, 5)).any()


def test_features_stand_in_the_order_of_their_letters() -> None:
    z, h, c = torch.full((1, 2), 1.0), torch.full((1, 3), 2.0), torch.full((1, 3), 3.0)
    assert features("z", z, h, c).tolist() == [[1, 1]]
    assert features("zh", z, h, c).tolist() == [[1, 1, 2, 2, 2]]
    assert features("zch", z, h, c).tolist() == [[1, 1, 3, 3, 3, 2, 2, 2]]
    for inputs in ("z", "zh", "zch"):
        assert feature_dim(inputs, 2, 3) == features(inputs, z, h, c).shape[1]
