"""Which runs iterate training, and which a run goes on from."""

import dataclasses
from pathlib import Path

import pytest
from counting import tiny_config

from worldmodels.config import EvaluateConfig
from worldmodels.errors import UserError
from worldmodels.iterations import iterations, lineage
from worldmodels.options import load_config, to_dict, validate, write_yaml
from worldmodels.runs import Run


def iterated(folder: Path, **options: object) -> Run:
    return Run(folder, dataclasses.replace(tiny_config(), **options))


def test_each_iteration_goes_on_from_the_one_before(tmp_path: Path) -> None:
    run = iterated(tmp_path, iterations=3)
    first, second, third = iterations(run)
    assert first is run
    assert [second.folder, third.folder] == [tmp_path / "iterations" / number for number in "23"]
    for before, after in ((first, second), (second, third)):
        config, collect = after.config, after.config.collect
        assert config.previous == collect.onto == str(before.folder)
        assert (collect.policy, collect.agent) == ("agent", str(before.folder / "controllers" / "real"))
        assert (config.seed, config.iterations) == (before.config.seed + 1, 1)
        kept = {"previous": None, "iterations": 3, "seed": 5, "collect": run.config.collect}
        assert dataclasses.replace(config, **kept) == run.config


def test_the_explorer_collects(tmp_path: Path) -> None:
    _, second = iterations(iterated(tmp_path, iterations=2, explorer="dream"))
    assert second.config.collect.agent == str(tmp_path / "controllers" / "dream")
    with pytest.raises(UserError, match="explorer is dreem, of real, dream"):
        iterations(iterated(tmp_path, iterations=2, explorer="dreem"))
    with pytest.raises(UserError, match="explorer is None, of none"):
        iterations(iterated(tmp_path, iterations=2, controllers={}))
    assert len(iterations(iterated(tmp_path, controllers={}))) == 1


def test_later_iterations_may_have_options_of_their_own(tmp_path: Path) -> None:
    later = {"collect": {"episodes": 3}, "controllers": {"dream": {"temperature": 1.3}}}
    first, second, third = iterations(iterated(tmp_path, iterations=3, later=later))
    assert first.config.collect.episodes != 3
    assert first.config.controllers["dream"].temperature != 1.3
    for run in (second, third):
        assert (run.config.collect.episodes, run.config.collect.policy) == (3, "agent")
        assert run.config.controllers["dream"].temperature == 1.3
        assert run.config.controllers["dream"].generations == first.config.controllers["dream"].generations
        assert run.config.vision == first.config.vision


def test_every_later_iteration_may_have_its_own_options_over_those_before(tmp_path: Path) -> None:
    later = [{"anew": "vision", "collect": {"episodes": 3}}, {"collect": {"noise": 0.4}}, {"anew": None}]
    *_, second, third, fourth, fifth = iterations(iterated(tmp_path, iterations=5, later=later))
    assert [run.config.anew for run in (second, third, fourth, fifth)] == ["vision", "vision", None, None]
    assert [run.config.collect.episodes for run in (second, third, fourth, fifth)] == [3] * 4
    assert second.config.collect.noise != 0.4
    assert [run.config.collect.noise for run in (third, fourth, fifth)] == [0.4] * 3


def test_options_of_the_chosen_v_alone_may_change_later(tmp_path: Path) -> None:
    def with_vision(chosen: str, **later: object) -> Run:
        config = load_config([], {**to_dict(tiny_config()), "vision": {"model": chosen, "latent_dim": 5}})
        return Run(tmp_path, dataclasses.replace(config, iterations=2, later={"vision": later}))

    first, second = iterations(with_vision("vae", beta=0.1))
    assert to_dict(second.config.vision) == to_dict(first.config.vision) | {"beta": 0.1}
    with pytest.raises(UserError, match="later: vision: there is no option `beta`"):
        iterations(with_vision("autoencoder", beta=0.1))
    assert not hasattr(iterations(with_vision("vae", model="autoencoder"))[1].config.vision, "beta")


def test_iterations_that_have_begun_keep_their_explorer_and_their_stages_their_options(tmp_path: Path) -> None:
    later = {"controllers": {"dream": {"temperature": 1.3}, "real": {"sigma0": 0.3}}, "memory": {"steps": 7}}
    run = iterated(tmp_path, iterations=2, later=later)
    begun = iterations(run)[1]
    begun.record()
    for stage in (begun.rollouts, begun.memory, begun.controller("dream")):
        stage.folder.mkdir(parents=True)
        (stage.folder / stage.RECORD).write_text("{}")
    controllers = {"dream": {"temperature": 1.5, "generations": 9}, "real": {"sigma0": 0.2}}
    changed = {
        "iterations": 3,
        "explorer": "dream",
        "later": {"controllers": controllers, "memory": {"steps": 8}, "vision": {"steps": 9}},
        "evaluate": EvaluateConfig(episodes=77),
    }
    _, second, third = iterations(Run(tmp_path, dataclasses.replace(run.config, **changed)))
    assert second.config.collect == begun.config.collect
    assert second.config.memory == begun.config.memory
    assert second.config.vision.steps == 9
    dream = begun.config.controllers["dream"]
    assert second.config.controllers["dream"] == dataclasses.replace(dream, generations=9)
    assert second.config.controllers["real"].sigma0 == 0.2
    assert second.config.evaluate.episodes == 77
    assert third.config.collect.agent == str(second.folder / "controllers" / "dream")
    assert (third.config.memory.steps, third.config.controllers["dream"].temperature) == (8, 1.5)


@pytest.mark.parametrize(
    ("begun", "started", "asked", "now"),
    [
        (None, ["rollouts"], "vision", "vision"),
        (None, ["vision"], "vision", "memory"),
        (None, ["vision", "memory"], "memory", "controllers"),
        (None, ["vision", "memory", "controllers"], "vision", None),
        ("vision", ["vision"], None, "vision"),
        ("memory", ["vision"], None, None),
    ],
)
def test_only_parts_that_have_not_begun_may_begin_anew(
    tmp_path: Path, begun: str | None, started: list[str], asked: str | None, now: str | None
) -> None:
    run = iterated(tmp_path, iterations=2, anew=begun)
    second = iterations(run)[1]
    second.record()
    for name in started:
        stage = second.controller("real") if name == "controllers" else getattr(second, name)
        stage.folder.mkdir(parents=True)
        (stage.folder / stage.RECORD).write_text("{}")
    changed = Run(tmp_path, dataclasses.replace(run.config, anew=asked))
    assert iterations(changed)[1].config.anew == now


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({"colect": {}}, "colect is no section"),
        ({"seed": 4}, "seed is no section"),
        ({"collect": 5}, "later"),
        ([{"vision": {}}, {"colect": {}}], "colect is no section"),
        ({"collect": None}, "later"),
        ({"collect": {"policy": "uniform"}}, "collect.policy is uniform, but the agent collects"),
        ({"collect": {"epsodes": 4}}, "later: collect: there is no option `epsodes`; did you mean `episodes`"),
        ({"vision": {"batch": 0}}, "later: vision.batch: input should be greater than or equal to 1"),
    ],
)
def test_what_is_no_option_of_a_later_iteration_is_refused_at_once(tmp_path: Path, later: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        iterations(iterated(tmp_path, iterations=3, later=later))


@pytest.mark.parametrize("later", [5, None, [], [5]])
def test_later_is_one_or_more_sets_of_sections(later: object) -> None:
    with pytest.raises(UserError, match=r"^options: later\S*: \w+ .*, but it is "):
        validate({"later": later}, "options")


def test_a_lineage_ends_where_a_run_is_gone_or_comes_again(tmp_path: Path) -> None:
    last = iterations(iterated(tmp_path, iterations=3))[2]
    assert lineage(last) == [last]
    for run in iterations(iterated(tmp_path, iterations=3)):
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / "config.yaml").write_text(write_yaml(run.config))
    assert [run.folder.name for run in lineage(last)] == [tmp_path.name, "2", "3"]
    circle = iterated(tmp_path, previous=str(last.folder))
    (tmp_path / "config.yaml").write_text(write_yaml(circle.config))
    assert [run.folder.name for run in lineage(last)] == [tmp_path.name, "2", "3"]
