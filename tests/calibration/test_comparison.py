import numpy as np
import pytest

from worldmodels.calibration.comparison import Entry, compared, complaints
from worldmodels.play import Outcomes


def outcomes(lengths: object, returns: object = None) -> Outcomes:
    steps = np.array(lengths, np.int64)
    return Outcomes(np.array(steps if returns is None else returns, np.float64), steps, np.zeros(len(steps), bool))


def around(mean: float, spread: float = 0.0, count: int = 16) -> np.ndarray:
    """Numbers with a mean, and `spread` to either side of it."""
    return mean + spread * np.resize([-1, 1], count)


def test_a_players_entries_stand_together_with_ratios_to_the_game() -> None:
    game = {"a": outcomes([100, 300], [1, 3]), "b": outcomes([50, 50], [-4, 4])}
    dreams = {
        0.5: {"a": outcomes([100, 100], [2, 2]), "b": outcomes([100, 100], [1, 1])},
        1.0: {"a": outcomes([300, 300], [-3, -3]), "b": outcomes([25, 25], [0, 0])},
    }
    entries = compared(game, dreams)
    assert [(e.player, e.temperature) for e in entries] == [(p, t) for p in "ab" for t in (None, 0.5, 1.0)]
    assert [e.steps_ratio for e in entries] == [None, 0.5, 1.5, None, 2.0, 0.5]
    assert [e.returns_ratio for e in entries] == [None, 1.0, -1.5, None, None, None]
    first = entries[0].steps
    assert (first["mean"], first["std"], first["sem"]) == pytest.approx((200, 141.421, 100), rel=1e-5)


def test_a_player_without_a_dream_stands_in_the_game_alone() -> None:
    game = {"a": outcomes([100, 300]), "b": outcomes([50, 50])}
    entries = compared(game, {0.5: {"a": game["a"]}, 1.0: {"a": game["a"]}})
    assert [(e.player, e.temperature) for e in entries] == [("a", None), ("a", 0.5), ("a", 1.0), ("b", None)]
    assert complaints(entries, 1.0, pays=True) == []


def found(game: dict[str, Outcomes], dream: dict[str, Outcomes], pays: bool = False) -> list[str]:
    entries: list[Entry] = compared(game, {0.5: game, 1.0: dream, 1.3: game})
    assert complaints(entries, 0.5, pays) == complaints(entries, 1.3, pays) == []
    return complaints(entries, 1.0, pays)


@pytest.mark.parametrize(("dreamt", "apart"), [(130, False), (131, True), (70, False), (69, True), (100, False)])
def test_worlds_are_apart_beyond_thirty_percent(dreamt: int, apart: bool) -> None:
    game = {"still": outcomes(around(100)), "other": outcomes(around(100))}
    said = found(game, game | {"still": outcomes(around(dreamt))})
    assert bool(said) == apart
    if apart:
        assert said == [
            f'The dream and the game are apart for "still" at temperature 1: steps {dreamt:.1f} ± 0.0 in the dream '
            "and 100.0 ± 0.0 in the game."
        ]


def test_a_difference_within_chance_is_called_so() -> None:
    game = {"still": outcomes(around(100, 80))}
    (said,) = found(game, {"still": outcomes(around(140, 80))})
    assert "within chance" in said
    (said,) = found(game, {"still": outcomes(around(240, 80))})
    assert "chance" not in said


def test_returns_count_where_the_game_pays_them() -> None:
    game = {"still": outcomes(around(100), around(-10)), "other": outcomes(around(100), around(10))}
    dream = game | {"still": outcomes(around(100), around(20))}
    assert found(game, dream) == []
    (said,) = found(game, dream, pays=True)
    assert "steps" not in said
    assert "return 20.0 ± 0.0 in the dream and -10.0 ± 0.0 in the game" in said


def test_a_return_near_zero_is_measured_against_the_usual_size() -> None:
    lengths = around(100)
    game = {name: outcomes(lengths, around(mean)) for name, mean in (("a", -40), ("b", 0.1), ("c", 40))}
    assert found(game, game | {"b": outcomes(lengths, around(11))}, pays=True) == []
    (said,) = found(game, game | {"b": outcomes(lengths, around(13))}, pays=True)
    assert '"b"' in said
