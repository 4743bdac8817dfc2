import sys
from pathlib import Path

import pytest
import torch

from worldmodels.config import VisionConfig
from worldmodels.errors import UserError
from worldmodels.vision import SingleLossModel, build_vision, load_vision, register_vision, save_vision

COUNTER = VisionConfig(model="counter", latent_dim=5)


def test_a_saved_model_comes_back_in_evaluation_mode(tmp_path: Path) -> None:
    model = build_vision(COUNTER)
    save_vision(tmp_path / "v", model)
    loaded = load_vision(tmp_path / "v", COUNTER)
    assert torch.equal(loaded.number, model.number)
    assert not loaded.training


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no vision model vea: the known ones are vae, .*counter.*entry point"):
        build_vision(VisionConfig(model="vea"))


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_vision(tmp_path / "v", build_vision(COUNTER))
    with pytest.raises(UserError, match="a vision model counter, not vae"):
        load_vision(tmp_path / "v", VisionConfig(model="vae"))


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    save_vision(tmp_path / "v", build_vision(VisionConfig(latent_dim=4)))
    with pytest.raises(UserError, match="of another size"):
        load_vision(tmp_path / "v", VisionConfig(latent_dim=5))


def offer(folder: Path, name: str, what: str) -> None:
    """What an installed package that offers a model leaves in a folder."""
    info = folder / "their_model-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-model\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[worldmodels.vision]\n{name} = {what}\n")


def test_another_package_can_offer_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_model.py").write_text("from counting import CounterVision as Model\n")
    offer(tmp_path, "theirs", "their_model:Model")
    monkeypatch.syspath_prepend(tmp_path)
    model = build_vision(VisionConfig(model="theirs", latent_dim=5))
    assert type(model).__name__ == "CounterVision"
    del sys.modules["their_model"]


@pytest.mark.parametrize("what", ["nowhere_to_be_found:Model", "counting:NoSuchModel"])
def test_a_model_that_is_offered_and_cannot_be_loaded_is_named(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(tmp_path, "broken", what)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=f"vision model broken is to be {what}, which cannot be loaded"):
        build_vision(VisionConfig(model="broken"))


def test_the_name_of_a_built_in_model_is_taken() -> None:
    with pytest.raises(UserError, match=r"vae is a model's name in worldmodels\.vision\.vae: give .*Mine another one"):

        @register_vision("vae")
        class Mine(SingleLossModel):
            pass

    assert type(build_vision(VisionConfig())).__module__ == "worldmodels.vision.vae"
