"""Random numbers as a pure function of (seed, step, index): a dream's own, whatever its batch, worker or restart."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

_GOLDEN = -1640531527  # 2^32 / golden ratio, as a signed 32-bit number
_MIX_A, _MIX_B = 0x7FEB352D, -2073254261  # multipliers of the `lowbias32` integer hash (public domain, C. Wellons)


def _mix(x: Tensor) -> Tensor:
    """Hash 32-bit integers in place; each input bit changes each output bit with probability near 1/2."""
    x.bitwise_xor_((x >> 16) & 0xFFFF).mul_(_MIX_A)
    x.bitwise_xor_((x >> 15) & 0x1FFFF).mul_(_MIX_B)
    return x.bitwise_xor_((x >> 16) & 0xFFFF)


def uniform(seed: Int[Tensor, " b"], step: Int[Tensor, " b"], count: int) -> Float[Tensor, "b {count}"]:
    """`count` numbers in (0, 1), uniform, for each lane's 64-bit seed and step."""
    low, high = seed.to(torch.int32, copy=True), (seed >> 32).to(torch.int32)
    key = _mix(_mix(_mix(low) + high) + step.to(torch.int32) * _GOLDEN)[:, None]
    index = torch.arange(1, count + 1, dtype=torch.int32, device=seed.device) * _GOLDEN
    bits = _mix(_mix(index ^ key) + key)
    return ((bits >> 9) & 0x7FFFFF).float().add_(0.5).mul_(2.0**-23)  # 23 bits: with 24, the largest rounds to 1


def normal(uniforms: Float[Tensor, "b n2"]) -> Float[Tensor, "b n2"]:
    """As many standard normal numbers as there are uniform ones (an even count), by Box and Muller's transform."""
    a, b = uniforms.chunk(2, 1)
    radius, angle = (-2 * a.log()).sqrt(), b * (2 * math.pi)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)


def even(count: int) -> int:
    """`count`, or one more."""
    return count + count % 2
