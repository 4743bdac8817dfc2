"""Stage 2: train V on the frames of the rollouts."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.annealing import cosine_decay
from worldmodels.config import VisionConfig
from worldmodels.data.prefetch import prefetch
from worldmodels.data.rollouts import rollouts_of, rows_of, split_episodes
from worldmodels.disk import require_space, training_bytes
from worldmodels.errors import UserError
from worldmodels.metrics import Bar, MetricsLog, check_loss, progress_bar, read_metrics
from worldmodels.options import identity
from worldmodels.pictures import grid, to_bytes, write_png
from worldmodels.previous import begun_from, check_alike, check_steps, previous_run
from worldmodels.runs import Run
from worldmodels.runtime import pick_device, pick_precision
from worldmodels.seeds import stream, torch_seed
from worldmodels.tensors import load_tensors, load_weights, resuming, save_tensors
from worldmodels.vision.base import VisionModel, build_vision, load_vision, save_vision
from worldmodels.vision.checkerboard import checkerboard
from worldmodels.vision.signs import new_signs

WEIGHTS = "vision.safetensors"
RESUME = "resume.safetensors"
STRIP = "reconstructions.png"
STRIP_FRAMES = 10
SAMPLES = "samples.png"
SAMPLE_ROWS = 3


def train_vision(run: Run) -> None:
    """Train V on the run's rollouts and keep the weights with the lowest validation loss (adversarial ones': the last).

    Writes `vision.safetensors`, `reconstructions.png`, `samples.png` and the metrics; can be killed and called again at
    any time: every batch and every noise is a function of the run's seed and the step, so a resumed training equals an
    undisturbed one. With `previous` it begins at another run's weights, with new optimisers.

    Raises:
        UserError: the rollouts are missing, the stage was begun with other options, the loss stopped being a number, or
            the previous run's V is another model or of another size.
    """
    stage, config = run.vision, run.config.vision
    options = run.made_from(vision=identity(config), **begun_from(run, "vision", lambda before: before.vision))
    with stage.begin(options, [run.rollouts]):
        if stage.done is None:
            VisionTraining(run).run()
        (stage.folder / RESUME).unlink(missing_ok=True)


class VisionTraining:
    """A training of V under way: from its beginning, or from where it was last saved."""

    def __init__(self, run: Run) -> None:
        self.stage, self.config, self.seed = run.vision, run.config.vision, run.config.seed
        self.compute = run.config.compute
        config, rollouts = self.config, rollouts_of(run)
        self.rollouts = rollouts
        training, validation = rollouts.split(config.validation_fraction)
        self.training_rows = rows_of(rollouts.starts, training)
        self.validation_rows = self._held_out(rows_of(rollouts.starts, validation))
        self.device = pick_device(run.config.compute)
        self.precision = pick_precision(run.config.compute, self.device)
        torch.manual_seed(torch_seed(self.seed, "vision/weights"))
        self.model: VisionModel = build_vision(config).to(self.device)
        self.step, self.best = 0, math.inf
        if (self.stage.folder / RESUME).exists():
            self._resume()
        else:
            before = previous_run(run, "vision")
            check_steps("vision", config.steps, before)
            if before:
                self._learn_on(before)
        self.first_rates = self._first_rates()

    def _held_out(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        count = min(len(rows), self.config.validation_frames)
        return np.sort(stream(self.seed, "vision/validation").choice(rows, count, replace=False))

    def _first_rates(self) -> list[tuple[dict[str, Any], float]]:
        """Groups of weights that learn, and the step sizes that they begin with."""
        rates = [(group, group["lr"]) for optimizer in self.model.learners for group in optimizer.param_groups]
        if self.config.final_learning_rate and not rates:
            raise UserError(f"vision.final_learning_rate: {self.config.model} names no optimiser; leave it out.")
        return rates

    def _learn_on(self, before: Run) -> None:
        kept = trained_vision(before)
        check_alike(before, "vision", kept.config, self.config, "vision", ("model", "latent_dim"))
        load_weights(self.model, kept.state_dict(), before.vision.folder / WEIGHTS)

    def _resume(self) -> None:
        path = self.stage.folder / RESUME
        tensors, metadata = load_tensors(path)
        weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
        load_weights(self.model, weights, path)
        with resuming(path):
            self.model.load_training_state({name: t.to(self.device) for name, t in tensors.items()})
            self.step, self.best = int(metadata["step"]), float(metadata["best"])

    def run(self) -> None:
        """All steps that are left."""
        every, total = self.config.validate_every, self.config.steps
        steps = range(self.step + 1, total + 1)
        with (
            MetricsLog(self.stage.folder, self.step) as log,
            progress_bar("V", total * self.config.batch, "frames", self.step * self.config.batch) as bar,
        ):
            require_space(self.stage.folder, training_bytes(self.model), "V", self.compute)
            for step, frames in prefetch(self.batch, steps):
                self.step = step
                metrics = self.learn(frames.to(self.device))
                bar.advance(self.config.batch)
                if self.step % 50 == 0:
                    values = _numbers(metrics)
                    self._check(values["loss"])
                    log.write(self.step, **values)
                    bar.advance(0, f"loss {values['loss']:.1f}")
                if self.step % every == 0 or self.step == total:
                    self._validate(log, bar)
            if not total:
                self._validate(log, bar)
        self._finish()

    def batch(self, step: int) -> Tensor:
        """The frames (B, 64, 64, 3) of a step."""
        rows = stream(self.seed, "vision/batch", step).choice(self.training_rows, self.config.batch)
        return torch.from_numpy(self.rollouts.frames(rows))

    def learn(self, frames: Tensor) -> dict[str, Tensor]:
        """One step of learning."""
        if final := self.config.final_learning_rate:
            share = cosine_decay(1, final / self.config.learning_rate, self.step / self.config.steps)
            for group, rate in self.first_rates:
                group["lr"] = share * rate
        self.model.train()
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            return self.model.training_step(frames, torch_seed(self.seed, "vision/noise", self.step))

    def _check(self, loss: float) -> None:
        check_loss(loss, "V", self.step, self.stage.folder / WEIGHTS, "vision.learning_rate")

    def _validate(self, log: MetricsLog, bar: Bar) -> None:
        """Measure on held-out frames, draw the strip, keep the best weights, and save the state to resume from."""
        require_space(self.stage.folder, training_bytes(self.model), "V", self.compute)
        self.model.eval()
        values = mean_metrics(self._validation_metrics())
        self._check(values["loss"])
        recorded = values | self._checkerboard()
        log.write(self.step, **{f"validation/{name}": value for name, value in recorded.items()})
        bar.say(f"V step {self.step}: validation " + ", ".join(f"{name} {value:.2f}" for name, value in values.items()))
        for sentence in new_signs(read_metrics(self.stage.folder)) if "spread" in values else ():
            bar.say(sentence)
        if self.model.encodes:
            write_strip(self.stage.folder / STRIP, self.model, self._strip_frames())
        if self.model.has_prior:
            write_samples(self.stage.folder / SAMPLES, self.model, torch_seed(self.seed, "vision/samples"))
        if values["loss"] < self.best or self.model.keeps_last:
            self.best = values["loss"]
            save_vision(self.stage.folder / WEIGHTS, self.model, step=self.step, validation=values)
        state = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        state |= self.model.training_state()
        save_tensors(self.stage.folder / RESUME, state, step=self.step, best=self.best)

    def _validation_metrics(self) -> Iterable[tuple[int, Mapping[str, float]]]:
        for first in range(0, len(self.validation_rows), self.config.batch):
            rows = self.validation_rows[first : first + self.config.batch]
            frames = torch.from_numpy(self.rollouts.frames(rows)).to(self.device)
            seed = torch_seed(self.seed, "vision/validation noise", first)
            yield len(rows), _numbers(self.model.validate(frames, seed))

    @torch.no_grad()
    def _checkerboard(self) -> dict[str, float]:
        """How much stronger a pattern of every other pixel is in decoded frames than in real ones that have any."""
        frames = torch.from_numpy(self.rollouts.frames(self.validation_rows[: self.config.batch])).to(self.device)
        seed = torch_seed(self.seed, "vision/samples")
        z = self.model.encode(frames).mu if self.model.encodes else self.model.prior(len(frames), seed).to(self.device)
        real, made = (checkerboard(images.permute(0, 3, 1, 2)) for images in (frames / 255, self.model.decode(z)))
        return {"checkerboard": float(made / real)} if real > 0 else {}

    def _strip_frames(self) -> NDArray[np.uint8]:
        picks = np.linspace(0, len(self.validation_rows) - 1, STRIP_FRAMES).astype(int)
        return self.rollouts.frames(self.validation_rows[picks])

    def _finish(self) -> None:
        _, metadata = load_tensors(self.stage.folder / WEIGHTS)
        self.stage.finish({"steps": self.config.steps, **metadata}, artefacts=[WEIGHTS])


def _numbers(metrics: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def mean_metrics(batches: Iterable[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    """Averages over the batches that have a metric, each weighted by its size."""
    sums, sizes = dict[str, float](), dict[str, int]()
    for size, metrics in batches:
        for name, value in metrics.items():
            sums[name] = sums.get(name, 0.0) + size * value
            sizes[name] = sizes.get(name, 0) + size
    return {name: value / sizes[name] for name, value in sums.items()}


@torch.no_grad()
def write_strip(path: Path, model: VisionModel, frames: NDArray[np.uint8]) -> None:
    """A picture with frames (N, 64, 64, 3) above and their reconstructions below."""
    device = next(model.parameters()).device
    decoded = model.decode(model.encode(torch.from_numpy(frames).to(device)).mu)
    write_png(path, grid([frames, to_bytes(decoded.cpu().numpy())]), scale=2)


@torch.no_grad()
def write_samples(path: Path, model: VisionModel, seed: int) -> None:
    """A picture of frames that a model makes of latents drawn from its prior."""
    device = next(model.parameters()).device
    made = to_bytes(model.decode(model.prior(SAMPLE_ROWS * STRIP_FRAMES, seed).to(device)).cpu().numpy())
    write_png(path, grid(np.split(made, SAMPLE_ROWS)), scale=2)


def trained_vision(run: Run) -> VisionModel:
    """The V of a run, on the CPU, in evaluation mode; UserError if it is not finished."""
    run.vision.summary()
    path = run.vision.folder / WEIGHTS
    return load_vision(path, run.vision.section(VisionConfig, "vision"))


def split_of(run: Run, episodes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of those of a run's episodes that its V learned from, and of those that were held out."""
    return split_episodes(episodes, run.vision.section(VisionConfig, "vision").validation_fraction)
