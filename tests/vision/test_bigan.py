import torch
from patches import pictures

from worldmodels.vision.bigan import LOGVAR_RANGE, BiGAN, BiGANConfig, JointDiscriminator


def test_the_discriminator_sees_frame_and_latent_together() -> None:
    torch.manual_seed(1)
    judge = JointDiscriminator(4).eval()
    images, z = torch.rand(2, 3, 64, 64), torch.randn(2, 4)
    logits = judge(images, z)
    assert not torch.allclose(judge(images.flip(0), z), logits)
    assert not torch.allclose(judge(images, z.flip(0)), logits)


def test_the_posteriors_width_stays_within_bounds() -> None:
    torch.manual_seed(1)
    model = BiGAN(BiGANConfig(model="bigan", latent_dim=4))
    with torch.no_grad():
        model.logvar.bias[:2] = torch.tensor([-50.0, 50.0])
    logvar = model.encode(pictures(2)).logvar
    assert logvar[:, 0].unique().item() == LOGVAR_RANGE[0]
    assert logvar[:, 1].unique().item() == LOGVAR_RANGE[1]


def test_the_cycle_makes_frames_come_back() -> None:
    errors = []
    for cycle in (0.0, 1.0):
        torch.manual_seed(1)
        model, frames = BiGAN(BiGANConfig(model="bigan", latent_dim=8, learning_rate=1e-3, cycle=cycle)), pictures(8)
        for step in range(25):
            model.train()
            errors.append(model.training_step(frames, seed=step)["reconstruction"].item())
    assert errors[-1] < 0.8 * errors[24]
