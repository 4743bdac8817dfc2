"""V training: the whole stage's data path and arithmetic against a plain loop over frames that lie in memory.

Baseline: the same network and loss written by hand in float32, torch's default memory layout and allocator settings
untouched, batches indexed from a tensor of frames. Both learn in turn, in one process; the ratio is that of medians.

    python benchmarks/vision_training.py [--rounds 7] [--steps 8]
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from worldmodels.collect import collect_rollouts
from worldmodels.config import ComputeConfig, Config
from worldmodels.data.prefetch import prefetch
from worldmodels.options import load_config
from worldmodels.runs import Run
from worldmodels.vision.train import VisionTraining
from worldmodels.vision.vae import VAE, VAEConfig

BATCH = 100


def plain_loop(model: VAE, optimizer: torch.optim.Optimizer, frames: torch.Tensor, steps: int) -> None:
    """`steps` of Adam on the paper's loss, nothing else."""
    for _ in range(steps):
        images = frames[torch.randint(len(frames), (BATCH,))].permute(0, 3, 1, 2).contiguous().float() / 255
        features = model.encoder(images)
        mu, logvar = model.mu(features), model.logvar(features)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        decoded = model.decoder(model.expand(z)[:, :, None, None])
        kl = 0.5 * (logvar.exp() + mu.square() - logvar - 1).sum(1)
        loss = (F.mse_loss(decoded, images, reduction="none").flatten(1).sum(1) + kl.clamp(min=16)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def stage_loop(training: VisionTraining, steps: range) -> None:
    """The stage's own batches, read from disk, and its own steps."""
    for step, frames in prefetch(training.batch, steps):
        training.step = step
        training.learn(frames)


def trainings(folder: Path) -> dict[str, VisionTraining]:
    """The stage on a fresh collection of real frames, in each arithmetic."""
    config = load_config(["car_racing"])
    config = dataclasses.replace(
        config,
        collect=dataclasses.replace(config.collect, episodes=8, max_steps=400),
        vision=dataclasses.replace(config.vision, batch=BATCH),
    )
    collect_rollouts(Run(folder, _in_process(config, "auto")))
    return {name: VisionTraining(Run(folder, _in_process(config, name))) for name in ("auto", "float32")}


def _in_process(config: Config, precision: str) -> Config:
    compute = ComputeConfig(workers=0, precision=precision)  # type: ignore[arg-type]
    return dataclasses.replace(config, compute=compute)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        staged = trainings(Path(folder))
        first = next(iter(staged.values()))
        frames = torch.from_numpy(first.rollouts.frames(slice(0, int(first.rollouts.starts[-1]))))
        model = VAE(VAEConfig(batch=BATCH)).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
        seconds: dict[str, list[float]] = {"plain": [], **{name: [] for name in staged}}
        for number in range(options.rounds + 1):  # the first round warms up
            steps = range(1 + number * options.steps, 1 + (number + 1) * options.steps)
            begin = time.perf_counter()
            plain_loop(model, optimizer, frames, options.steps)
            seconds["plain"].append(time.perf_counter() - begin)
            for name, training in staged.items():
                begin = time.perf_counter()
                stage_loop(training, steps)
                seconds[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(taken[1:]) for name, taken in seconds.items()}
    precision = str(staged["auto"].precision).removeprefix("torch.")
    names = {"plain": "plain loop, float32", "float32": "stage, float32", "auto": f"stage, auto ({precision})"}
    print(f"V training, batch {BATCH}, {torch.get_num_threads()} threads, median of {options.rounds} rounds")
    for name, title in names.items():
        rate = options.steps * BATCH / medians[name]
        print(f"{title:24} {rate:7.0f} images/s   {medians['plain'] / medians[name]:5.2f}x plain")


if __name__ == "__main__":
    main()
