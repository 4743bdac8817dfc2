"""The table of temperatures as a plot."""

import pytest
from matplotlib.figure import Figure

from worldmodels.config import ControllerConfig
from worldmodels.evaluate import Row
from worldmodels.render.temperatures import temperature_figure


def row(agent: str, temperature: float | None, mean: float) -> Row:
    world = "real" if temperature is None else "dream"
    return Row(agent, world, "a game", temperature, 9, mean, 3.0, 1.0, (mean - 2, mean + 1), mean, None, 50.0)


@pytest.fixture
def drawn(monkeypatch):
    """The figure that would have been written."""
    figures = []
    monkeypatch.setattr("worldmodels.render.temperatures.save_figure", lambda figure, path: figures.append(figure))
    return figures


def series(figure: Figure) -> dict[str, tuple[list, list]]:
    """What is drawn, by its label."""
    (axes,) = figure.axes
    handles, labels = axes.get_legend_handles_labels()
    return {label: tuple(map(list, handle.lines[0].get_data())) for handle, label in zip(handles, labels, strict=True)}


def test_agents_stand_at_the_temperature_of_their_dreams(drawn, tmp_path):
    controllers = {f"t{t:g}": ControllerConfig(world="dream", temperature=t) for t in (1.3, 0.1, 1.0)}
    rows = [row(name, None, 10 * config.temperature) for name, config in controllers.items()]
    rows += [row(name, config.temperature, 100 - config.temperature) for name, config in controllers.items()]
    assert temperature_figure(rows, controllers, tmp_path / "x.png")
    assert series(drawn[0]) == {
        "evolved at that temperature, in the dream": ([0.1, 1.0, 1.3], [99.9, 99.0, 98.7]),
        "the same agents in the real game": ([0.1, 1.0, 1.3], [1.0, 10.0, 13.0]),
    }


def test_an_agent_in_several_dreams_is_joined_and_its_game_lies_across(drawn, tmp_path):
    rows = [row("real", None, 7.0), row("real", 0.5, 3.0), row("real", 1.0, 2.0), row("random policy", None, 1.0)]
    assert temperature_figure(rows, {"real": ControllerConfig()}, tmp_path / "x.png")
    assert series(drawn[0]) == {"agent real in dreams of any temperature": ([0.5, 1.0], [3.0, 2.0])}
    assert [text.get_text() for text in drawn[0].axes[0].texts] == [
        "real, in the real game",
        "random policy, in the real game",
    ]


def test_one_temperature_is_no_comparison(drawn, tmp_path):
    rows = [row("real", None, 7.0), row("real", 1.0, 2.0), row("dream", 1.0, 2.0), row("dream", None, 2.0)]
    controllers = {"real": ControllerConfig(), "dream": ControllerConfig(world="dream")}
    assert not temperature_figure(rows, controllers, tmp_path / "x.png")
    assert drawn == []


def test_the_file_is_written(tmp_path):
    assert temperature_figure([row("a", 0.5, 1.0), row("a", 1.0, 2.0)], {}, tmp_path / "x.png")
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
