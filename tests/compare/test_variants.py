import dataclasses

import pytest

from worldmodels.compare.variants import variants
from worldmodels.config import CompareConfig, Config
from worldmodels.errors import UserError
from worldmodels.options import load_config


def config(*models: str) -> Config:
    run = load_config([], {"vision": {"latent_dim": 5, "steps": 7, "beta": 2.0}})
    return dataclasses.replace(run, compare=CompareConfig(models=models))


def test_a_variant_has_the_runs_options_and_its_own() -> None:
    plain, other = variants(config("vae", "vae,beta=4,kl-floor=0"))
    assert plain.vision == config().vision
    assert other.vision == dataclasses.replace(config().vision, beta=4.0, kl_floor=0.0)
    assert (plain.label, plain.folder) == ("vae", "vae")
    assert other.folder == "vae_beta=4_kl-floor=0"


def test_another_model_takes_over_what_all_models_share() -> None:
    (other,) = variants(config("counter"))
    assert (other.vision.model, other.vision.latent_dim, other.vision.steps) == ("counter", 5, 7)


@pytest.mark.parametrize(
    ("models", "complaint"),
    [
        (("vaw",), "no vision model vaw"),
        (("vae,bta=1",), "no option `bta`; did you mean `beta`"),
        (("vae,beta=-1",), "beta: input should be greater than or equal to 0"),
        (("vae,beta",), "NAME,option=value"),
        (("vae,model=other",), "NAME,option=value"),
        (("vae,validation-fraction=0.2",), "all models hold out the same episodes"),
        (("vae", "vae"), "names vae twice"),
        ((), "compare.models is empty"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_sentence(models: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        variants(config(*models))
