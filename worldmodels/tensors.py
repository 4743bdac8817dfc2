"""Weights and training states as safetensors: data that cannot run code."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from worldmodels.errors import UserError
from worldmodels.files import atomic, plain_file
from worldmodels.records import SCHEMA, check_schema

MAX_BYTES = 4 * 2**30
"""A larger file is refused unread."""
MAX_HEADER = 2**20
"""So is one with a longer header: it could name millions of tensors."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], **metadata: object) -> None:
    """Write tensors and JSON-encodable metadata atomically, with a digest of both."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    told = json.loads(json.dumps(metadata))
    envelope = {"schema": SCHEMA, "content": told, "sha256": _digest(content, told)}
    with atomic(path) as temporary:
        # one entry, because safetensors writes several in an order that differs from process to process
        save_file(content, str(temporary), metadata={"metadata": json.dumps(envelope, sort_keys=True)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file.

    Raises:
        UserError: it is missing, no safetensors file, of a newer version of the project, or not what was written: a
            single bit that has flipped is enough. Files of versions that wrote no digest are taken as they are.
    """
    try:
        with plain_file(path, MAX_BYTES).open("rb") as raw:
            if int.from_bytes(raw.read(8), "little") > MAX_HEADER:
                raise ValueError("its header is longer than any of this project")
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            entries = file.metadata() or {}
            envelope = dict(json.loads(entries.get("metadata", "{}")))
    except (OSError, SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {' '.join(str(error).split())}.") from error
    marks = {"schema", "content", "sha256"} & envelope.keys()
    if entries.keys() <= {"metadata"} and not marks:
        return tensors, envelope
    check_schema(envelope.get("schema"), path)
    content = envelope.get("content")
    if len(marks) < 3 or not isinstance(content, dict) or envelope["sha256"] != _digest(tensors, content):
        raise UserError(f"{path} is damaged: its content is not what was written.")
    return tensors, content


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """SHA-256 of names, types, shapes and bytes of tensors, and of metadata."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextlib.contextmanager
def resuming(path: Path) -> Iterator[None]:
    """Within, whatever is wrong with a state to resume from becomes a UserError that names the file."""
    try:
        yield
    except (KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is damaged ({' '.join(str(error).split())}): delete it to begin again.") from error


def load_weights(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Put weights into a module, as float32; UserError unless names and shapes are exactly the module's."""
    wanted = module.state_dict()
    for name in {**wanted, **tensors}:
        if name not in wanted or name not in tensors:
            raise UserError(
                f"{where} is of another model: the tensor {name} is {'missing' if name in wanted else 'unknown'}."
            )
        if wanted[name].shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(wanted[name].shape)}"
            raise UserError(f"{where} is of another size: the tensor {name} has the shape {shapes}.")
        if not torch.isfinite(tensors[name].float()).all():
            raise UserError(f"{where} holds values that are not finite, in the tensor {name}.")
    module.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in tensors.items()})


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str = "optimizer") -> dict[str, Tensor]:
    """An optimizer's state as named tensors."""
    return {
        f"{prefix}.{index}.{key}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str = "optimizer") -> None:
    """Put back what `optimizer_tensors` gave, laid out in memory as the parameters are: fused optimisers take it so."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix + "."):
            index, key = name.removeprefix(prefix + ".").split(".")
            if not torch.isfinite(tensor.float()).all():
                raise ValueError(f"{name} is not finite")
            if tensor.shape == (parameter := parameters[int(index)]).shape:
                tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
            states.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
