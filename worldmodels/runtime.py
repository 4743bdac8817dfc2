"""How torch uses the machine: threads, device, arithmetic."""

import contextlib
import dataclasses
from collections.abc import Iterator

import torch

from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, as workers do, so that numbers come out the same to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def pick_device(compute: ComputeConfig) -> torch.device:
    """The torch device of `compute.device`; UserError if this machine does not have it."""
    name = compute.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"compute.device: {name} is not usable here ({reason}); use cpu or auto.") from error
    return device


def settled(compute: ComputeConfig) -> ComputeConfig:
    """The options with the arithmetic that they mean on this machine, so that workers on all others compute alike."""
    chosen = pick_precision(compute, torch.device("cpu"))
    return dataclasses.replace(compute, precision="bfloat16" if chosen == torch.bfloat16 else "float32")


def pick_precision(compute: ComputeConfig, device: torch.device) -> torch.dtype:
    """Arithmetic of V, M, the GAN of digits and dreams: bfloat16 where it is native and not refused, else float32."""
    if compute.precision != "auto":
        return torch.bfloat16 if compute.precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
