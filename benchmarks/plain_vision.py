"""A training step of each vision model as one would write it by hand: torch's own layers, float32."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodels.vision.base import VisionModel
from worldmodels.vision.layers import Deconvolution, Dropout, LastConvolution

Step = Callable[[Tensor], None]
"""A step on images (B, 3, 64, 64) in 0..1."""
TORCHS: dict[type, type] = {Deconvolution: nn.ConvTranspose2d, LastConvolution: nn.Conv2d, Dropout: nn.Dropout}


def plain_step(model: VisionModel) -> Step:
    """The hand-written step of a model, on a copy of it with torch's own layers and default memory layout."""
    own: Any = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for layer in own.modules():
        layer.__class__ = TORCHS.get(type(layer), type(layer))
    return STEPS[model.config.model](own)


def _down(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _adam(*modules: nn.Module, **options: Any) -> torch.optim.Adam:
    return torch.optim.Adam([p for module in modules for p in module.parameters()], lr=1e-4, **options)


def _squared(decoded: Tensor, images: Tensor) -> Tensor:
    return F.mse_loss(decoded, images, reduction="none").flatten(1).sum(1)


def _label(logits: Tensor, real: bool) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def _elbo(vae: Any, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    features = vae.encoder(images)
    mu, logvar = vae.mu(features), vae.logvar(features)
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    decoded = vae.decoder(vae.expand(z)[:, :, None, None])
    kl = 0.5 * (logvar.exp() + mu.square() - logvar - 1).sum(1)
    return decoded, _squared(decoded, images).mean(), kl.clamp(min=0.5 * mu.shape[1]).mean()


def _vae(model: Any) -> Step:
    optimizer = _adam(model)

    def step(images: Tensor) -> None:
        _, reconstruction, kl = _elbo(model, images)
        _down(optimizer, reconstruction + kl)

    return step


def _autoencoder(model: Any) -> Step:
    optimizer = _adam(model)

    def step(images: Tensor) -> None:
        z = model.code(model.encoder(images))
        _down(optimizer, _squared(model.decoder(model.expand(z)[:, :, None, None]), images).mean())

    return step


def _fsq(model: Any) -> Step:
    optimizer, half = _adam(model), (model.config.levels - 1) / 2

    def step(images: Tensor) -> None:
        bounded = torch.tanh(model.code(model.encoder(images)))
        z = bounded + (((bounded + 1) * half).round() / half - 1 - bounded).detach()
        _down(optimizer, _squared(model.decoder(model.expand(z)[:, :, None, None]), images).mean())

    return step


def _gan(model: Any) -> Step:
    generator, discriminator = model.generator, model.discriminator
    g, d = (torch.optim.RMSprop(player.parameters(), lr=1e-4) for player in (generator, discriminator))

    def draw(count: int) -> Tensor:
        z = generator.expand(torch.randn(count, model.latent_dim))
        images: Tensor = generator.decoder(z[:, :, None, None])
        return 2 * images - 1

    def step(images: Tensor) -> None:
        _down(d, _label(discriminator(2 * images - 1), True))
        _down(d, _label(discriminator(draw(len(images)).detach()), False))
        discriminator.requires_grad_(False)
        _down(g, _label(discriminator(draw(len(images))), True))
        discriminator.requires_grad_(True)

    return step


def _vae_gan(model: Any) -> Step:
    vae, discriminator = model.vae, model.discriminator
    g, d = _adam(vae), _adam(discriminator, betas=(0.5, 0.999))
    last = vae.decoder[-2].weight

    def step(images: Tensor) -> None:
        decoded, reconstruction, kl = _elbo(vae, images)
        fooled = _label(discriminator(2 * decoded - 1), True)
        lengths = [torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (reconstruction, fooled)]
        _down(g, reconstruction + kl + 0.5 * (lengths[0] / lengths[1]).detach() * fooled)
        real, fake = discriminator(2 * images - 1), discriminator(2 * decoded.detach() - 1)
        _down(d, 0.5 * (_label(real, True) + _label(fake, False)))

    return step


def _bigan(model: Any) -> Step:
    generator, judge = model.generator, model.discriminator
    g = _adam(model.encoder, model.mu, model.logvar, generator, betas=(0.5, 0.999))
    d = _adam(judge, betas=(0.5, 0.999))

    def pair(images: Tensor, z: Tensor) -> Tensor:
        logits: Tensor = judge.pair(torch.cat([judge.image(2 * images - 1), judge.latent(z)], 1))
        return logits

    def draw(z: Tensor) -> Tensor:
        images: Tensor = generator.decoder(generator.expand(z)[:, :, None, None])
        return images

    def step(images: Tensor) -> None:
        features = model.encoder(images)
        mu, logvar = model.mu(features), model.logvar(features).clamp(-8, 2)
        encoded = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        z = torch.randn_like(mu)
        made = draw(z)
        _down(d, 0.5 * (_label(pair(images, encoded.detach()), True) + _label(pair(made.detach(), z), False)))
        fooled = 0.5 * (_label(pair(images, encoded), False) + _label(pair(made, z), True))
        _down(g, fooled + model.config.cycle * _squared(draw(encoded), images).mean())

    return step


STEPS: dict[str, Callable[[Any], Step]] = {
    "vae": _vae,
    "autoencoder": _autoencoder,
    "fsq": _fsq,
    "gan": _gan,
    "vae_gan": _vae_gan,
    "bigan": _bigan,
}
