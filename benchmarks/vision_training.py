"""V training: the whole stage's data path and arithmetic against plain loops over frames that lie in memory.

Baseline: the same networks and losses written by hand in float32 (see `plain_vision.py`), torch's own layers, default
memory layout, batches indexed from a tensor of frames. All learn in turn, in one process; ratios are of medians.
Adversarial models are timed with their discriminator at work.

    python benchmarks/vision_training.py [--models vae vae_gan] [--rounds 7] [--steps 8]
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from plain_vision import STEPS, Step, plain_step

from worldmodels.collect import collect_rollouts
from worldmodels.config import ComputeConfig, Config
from worldmodels.data.prefetch import prefetch
from worldmodels.options import load_config
from worldmodels.registry import vision_options
from worldmodels.runs import Run
from worldmodels.vision.train import VisionTraining

BATCH = 100
PRECISIONS = ("float32", "auto")


def plain_loop(step: Step, frames: torch.Tensor, steps: int) -> None:
    """`steps` of the hand-written loop."""
    for _ in range(steps):
        images = frames[torch.randint(len(frames), (BATCH,))].permute(0, 3, 1, 2).contiguous().float() / 255
        step(images)


def stage_loop(training: VisionTraining, steps: range) -> None:
    """The stage's own batches, read from disk, and its own steps."""
    for step, frames in prefetch(training.batch, steps):
        training.step = step
        training.learn(frames)


def training_of(folder: Path, config: Config, model: str, precision: Any) -> VisionTraining:
    """The stage of a model, past its warm-up."""
    vision = vision_options(model)(model=model, latent_dim=config.vision.latent_dim, batch=BATCH)
    compute = ComputeConfig(workers=0, precision=precision)
    training = VisionTraining(Run(folder, dataclasses.replace(config, vision=vision, compute=compute)))
    if hasattr(training.model, "taken"):
        training.model.taken = vision.steps  # type: ignore[assignment]
    return training


def timed(work: Any, *arguments: Any) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, config = Path(name), load_config(["car_racing"])
        config = dataclasses.replace(
            config,
            collect=dataclasses.replace(config.collect, episodes=8, max_steps=400),
            compute=ComputeConfig(workers=0),
        )
        collect_rollouts(Run(folder, config))
        staged = {(m, p): training_of(folder, config, m, p) for m in options.models for p in PRECISIONS}
        some = next(iter(staged.values()))
        frames = torch.from_numpy(some.rollouts.frames(slice(0, int(some.rollouts.starts[-1]))))
        plain = {model: plain_step(staged[model, "float32"].model) for model in options.models}
        seconds: dict[tuple[str, str], list[float]] = {}
        for number in range(options.rounds + 1):  # the first round warms up
            steps = range(1 + number * options.steps, 1 + (number + 1) * options.steps)
            for model, step in plain.items():
                seconds.setdefault((model, "plain"), []).append(timed(plain_loop, step, frames, options.steps))
            for key, training in staged.items():
                seconds.setdefault(key, []).append(timed(stage_loop, training, steps))
    report(
        seconds, options.steps, options.rounds, str(some.precision), str(staged[options.models[0], "auto"].precision)
    )


def report(seconds: dict[tuple[str, str], list[float]], steps: int, rounds: int, exact: str, auto: str) -> None:
    """Print the table."""
    medians = {key: statistics.median(taken[1:]) for key, taken in seconds.items()}
    names = {"plain": "plain", "float32": f"stage, {exact[6:]}", "auto": f"stage, auto ({auto[6:]})"}
    print(f"V training, batch {BATCH}, {torch.get_num_threads()} threads, median of {rounds} rounds")
    for (model, kind), taken in medians.items():
        of_vae = medians.get(("vae", kind))
        print(
            f"{model:12} {names[kind]:24} {steps * BATCH / taken:7.0f} images/s "
            f"{medians[model, 'plain'] / taken:5.2f}x plain"
            + (f" {taken / of_vae:5.2f}x the VAE's time" if of_vae else "")
        )


if __name__ == "__main__":
    main()
