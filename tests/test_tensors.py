import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from worldmodels.errors import UserError
from worldmodels.tensors import load_optimizer, load_tensors, load_weights, optimizer_tensors, resuming, save_tensors

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, -2.0]), "flag": torch.tensor([True])}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_tensors(tmp_path / "x.safetensors", TENSORS, step=3, validation={"loss": 0.5}, model="m")
    return tmp_path / "x.safetensors"


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load_tensors(path)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


def test_tensors_and_metadata_come_back(path: Path) -> None:
    tensors, metadata = load_tensors(path)
    assert metadata == {"step": 3, "validation": {"loss": 0.5}, "model": "m"}
    assert set(tensors) == set(TENSORS)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())


def test_the_same_content_is_the_same_file(path: Path, tmp_path: Path) -> None:
    for again in range(5):  # safetensors' own metadata has an order that changes from call to call
        other = tmp_path / f"{again}.safetensors"
        save_tensors(other, TENSORS, model="m", validation={"loss": 0.5}, step=3)
        assert other.read_bytes() == path.read_bytes()


def test_slices_and_transposes_are_saved_as_they_look(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    save_tensors(tmp_path / "x", {"t": whole.T, "row": whole[1]})
    tensors, _ = load_tensors(tmp_path / "x")
    assert torch.equal(tensors["t"], whole.T)
    assert torch.equal(tensors["row"], whole[1])


def test_a_file_written_by_others_has_no_metadata(tmp_path: Path) -> None:
    save_file(TENSORS, str(tmp_path / "x"))
    assert load_tensors(tmp_path / "x")[1] == {}


@pytest.mark.parametrize("text", ["[1", "3", '"x"', "[[1, 2, 3]]"])
def test_damaged_metadata_is_refused(tmp_path: Path, text: str) -> None:
    save_file(TENSORS, str(tmp_path / "x"), metadata={"metadata": text})
    refusal(tmp_path / "x")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "none")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 50, -1, -5])
def test_a_truncated_file_is_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    refusal(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04 a torch file", b"\x80\x04.", b"\xff" * 64, b"{}" * 40])
def test_a_foreign_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refusal(path)


def test_a_file_that_is_too_large_is_refused_unread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldmodels.tensors.MAX_BYTES", 10)
    assert "larger" in refusal(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused(path: Path, position: float, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    flipped = path.with_name("flipped.safetensors")
    flipped.write_bytes(content)
    with pytest.raises(UserError, match="flipped"):
        load_tensors(flipped)


def test_a_file_of_a_version_that_wrote_no_digest_is_taken_as_it_is(tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, str(tmp_path / "x"), metadata={"metadata": json.dumps({"step": 3})})
    tensors, metadata = load_tensors(tmp_path / "x")
    assert metadata == {"step": 3}
    assert tensors["x"].tolist() == [1, 1]


def test_a_file_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    envelope = {"schema": 2, "content": {}, "sha256": ""}
    save_file({"x": torch.ones(2)}, str(tmp_path / "x"), metadata={"metadata": json.dumps(envelope)})
    with pytest.raises(UserError, match=r"newer version of this project \(schema 2, and this one reads 1\)"):
        load_tensors(tmp_path / "x")


@pytest.mark.parametrize("size", [2**21, 2**40, 2**63])
def test_a_header_of_giant_length_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "x").write_bytes(size.to_bytes(8, "little") + b"{" * 100)
    with pytest.raises(UserError, match="its header is longer"):
        load_tensors(tmp_path / "x")


def test_an_optimizers_state_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    optimizer = torch.optim.Adam(nn.Linear(2, 1).parameters())
    with pytest.raises(UserError, match=r"optimizer\.0\.exp_avg is not finite"), resuming(tmp_path / "x"):
        load_optimizer(optimizer, {"optimizer.0.exp_avg": torch.full((1, 2), torch.nan)})


@pytest.mark.parametrize("name", ["optimizer.x.step", "optimizer.9.step", "optimizer.0", "optimizer.0.a.b"])
def test_an_optimizers_state_of_another_form_is_refused(tmp_path: Path, name: str) -> None:
    optimizer = torch.optim.Adam(nn.Linear(2, 1).parameters())
    with pytest.raises(UserError, match=r"is damaged.*delete it to begin again"), resuming(tmp_path / "x"):
        load_optimizer(optimizer, {name: torch.ones(())})


def weights() -> dict[str, torch.Tensor]:
    return {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}


def test_weights_are_put_into_a_module_in_its_own_precision() -> None:
    module = nn.Linear(3, 2)
    load_weights(module, {name: tensor.to(torch.bfloat16) for name, tensor in weights().items()}, "x")
    assert module.weight.dtype == torch.float32
    assert (module.weight == 1).all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"weight": torch.ones(3, 2)}, "another size: the tensor weight"),
        ({"weight": torch.ones(6)}, "another size: the tensor weight"),
        ({"bias": torch.tensor([0.0, np.nan])}, "not finite, in the tensor bias"),
        ({"bias": torch.tensor([0.0, np.inf])}, "not finite, in the tensor bias"),
        ({"more": torch.zeros(1)}, "another model: the tensor more is unknown"),
        ({"bias": None}, "another model: the tensor bias is missing"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_changed(change: dict, why: str) -> None:
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    offered = {name: tensor for name, tensor in (weights() | change).items() if tensor is not None}
    with pytest.raises(UserError, match=why):
        load_weights(module, offered, "file")
    assert torch.equal(module.weight, before)


def test_an_optimizer_goes_on_as_if_it_had_not_been_stored(tmp_path: Path) -> None:
    def learner() -> tuple[nn.Linear, torch.optim.Adam]:
        torch.manual_seed(1)
        module = nn.Linear(3, 2)
        return module, torch.optim.Adam(module.parameters(), lr=0.1)

    def learn(module: nn.Linear, optimizer: torch.optim.Adam, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            module(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()

    straight, optimizer = learner()
    learn(straight, optimizer, 7)
    stopped, optimizer = learner()
    learn(stopped, optimizer, 4)
    save_tensors(tmp_path / "x", stopped.state_dict() | optimizer_tensors(optimizer))
    tensors, _ = load_tensors(tmp_path / "x")
    resumed, optimizer = learner()
    load_weights(resumed, {name: t for name, t in tensors.items() if not name.startswith("optimizer.")}, "x")
    load_optimizer(optimizer, tensors)
    learn(resumed, optimizer, 3)
    assert torch.equal(resumed.weight, straight.weight)


def test_a_new_optimizer_has_nothing_to_store() -> None:
    optimizer = torch.optim.Adam(nn.Linear(1, 1).parameters())
    assert optimizer_tensors(optimizer) == {}
    load_optimizer(optimizer, {})
