"""Every seed of the project: three disjoint ranges, and streams derived from names and counters.

Training, validation and test seeds never mix: what is chosen on validation seeds is reported on test seeds.
All randomness is a pure function of (run seed, purpose, counter), so nothing has to be stored to resume.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

TRAINING = range(1, 1_000_000)
VALIDATION = range(1_000_000, 2_000_000)
TEST = range(2_000_000, 3_000_000)
UNSEEN = VALIDATION[len(VALIDATION) // 2 :]
"""Validation seeds for looks at agents that those at the beginning have chosen."""
DREAMS = 2**62
"""From so many is drawn the seed of a dream that is given none."""


def stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """An independent random generator for one purpose, e.g. ``stream(7, "vision/batch", step)``."""
    digest = hashlib.sha256(purpose.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little"), *counters])


def torch_seed(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit seed for a torch generator, from the same stream."""
    return int(stream(seed, purpose, *counters).integers(2**63 - 1))


def dream_seed(random: np.random.Generator) -> int:
    """The seed of an environment's next dream, from the environment's own stream."""
    return int(random.integers(DREAMS))


def spread_seeds(seed: int | Sequence[int | None] | None, lanes: int) -> list[int | None]:
    """A seed a lane, as Gymnasium's vector environments spread a single one."""
    if seed is None:
        return [None] * lanes
    return [seed + lane for lane in range(lanes)] if isinstance(seed, int) else list(seed)


def shortened(seeds: Sequence[int], count: int = 8) -> str:
    """Seeds in a message: the first few of them, and how many there are."""
    listed = ", ".join(map(str, seeds[:count]))
    return listed if len(seeds) <= count else f"{listed}, ... ({len(seeds)} of them)"


def training_seeds(seed: int, purpose: str, counter: int, count: int) -> list[int]:
    """`count` distinct training seeds for step `counter` of a purpose, e.g. a generation of CMA-ES."""
    drawn = stream(seed, purpose, counter).choice(len(TRAINING), size=count, replace=False)
    return [TRAINING[int(i)] for i in drawn]


def validation_seeds(count: int) -> list[int]:
    """The first `count` validation seeds."""
    return list(VALIDATION[:count])


def test_seeds(count: int) -> list[int]:
    """The first `count` test seeds."""
    return list(TEST[:count])


test_seeds.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect where it is imported
