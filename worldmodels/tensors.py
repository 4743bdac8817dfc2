"""Weights and training states as safetensors: data that cannot run code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from worldmodels.errors import UserError
from worldmodels.runs import atomic

MAX_BYTES = 4 * 2**30
"""A larger file is refused unread."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], **metadata: object) -> None:
    """Write tensors and JSON-encodable metadata atomically."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        # one entry, because safetensors writes several in an order that differs from process to process
        save_file(content, str(temporary), metadata={"metadata": json.dumps(metadata, sort_keys=True)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file; UserError if it is missing, damaged or no safetensors file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is larger than any file of this project: it is not read.")
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            metadata = dict(json.loads((file.metadata() or {}).get("metadata", "{}")))
    except (OSError, SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {' '.join(str(error).split())}.") from error
    return tensors, metadata


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
            if tensor.shape == (parameter := parameters[int(index)]).shape:
                tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
            states.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
