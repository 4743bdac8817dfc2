import math
from collections.abc import Callable

import pytest

from worldmodels.vision.signs import WINDOW, new_signs, oscillation, signs

Entry = dict[str, float]


def training(step: int, loss: float = 1.0, real: float = 0.7, fake: float = 0.7) -> Entry:
    return {"step": step, "loss_generator": loss, "accuracy_real": real, "accuracy_fake": fake}


def validation(step: int, spread: float = 1.0, coverage: float = 0.8) -> Entry:
    return {"step": step, "validation/loss": 1.0, "validation/spread": spread, "validation/coverage": coverage}


def game(of: Callable[[int], Entry], steps: int = WINDOW) -> list[Entry]:
    return [of(step) for step in range(steps)]


def test_a_healthy_game_shows_nothing() -> None:
    assert signs([*game(training), validation(10)]) == {}
    assert signs([]) == {}
    assert signs([{"step": 1, "loss": 3.0}]) == {}


@pytest.mark.parametrize(
    ("entries", "name", "words"),
    [
        ([validation(10, spread=0.1)], "collapse", "10% as far apart as real ones"),
        ([validation(10, coverage=0.0)], "collapse", "0% of the real ones have one near"),
        (game(lambda s: training(s, loss=1.0 + 4 * (s % 2))), "oscillation", "oscillates at step 9"),
        (game(lambda s: training(s, real=1.0, fake=1.0)), "sure", "right about 100.0% of all images at step 9"),
        (game(lambda s: training(s, real=1.0, fake=0.0)), "one_sided", "calls nearly everything real"),
        (game(lambda s: training(s, real=0.0, fake=1.0)), "one_sided", "calls nearly everything fake"),
    ],
)
def test_each_failure_has_its_sentence(entries: list[Entry], name: str, words: str) -> None:
    found = signs(entries)
    assert list(found) == [name]
    assert words in found[name]
    assert ": " in found[name]  # what to do
    assert found[name].count(". ") == 0


def test_a_sign_is_told_when_it_sets_in_and_not_again() -> None:
    entries = [*game(training), validation(10)]
    assert new_signs(entries) == []
    entries += [validation(20, spread=0.1)]
    assert len(new_signs(entries)) == 1
    entries += [validation(30, spread=0.1)]
    assert new_signs(entries) == []
    entries += [validation(40), validation(50, spread=0.1)]
    assert len(new_signs(entries)) == 1


def test_a_trend_is_no_oscillation_and_noise_is() -> None:
    falling = [3 - 0.1 * step for step in range(20)]
    assert oscillation(falling) < 0.05
    swinging = [2 + math.pow(-1, step) for step in range(20)]
    assert oscillation(swinging) == pytest.approx(math.sqrt(2) / 2, rel=1e-6)
