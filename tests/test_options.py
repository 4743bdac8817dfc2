import contextlib
import dataclasses
import itertools
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.config import CollectConfig, Config, ControllerConfig, MemoryConfig, TaskConfig
from worldmodels.errors import UserError
from worldmodels.options import (
    CONFIGS,
    completed,
    game_names,
    identity,
    load_config,
    names_a_game,
    preset_names,
    read_yaml,
    to_dict,
    typed,
    validate,
    write_yaml,
)
from worldmodels.registry import BUILT_IN, vision_options


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def refusal(path: Path) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(UserError) as error:
        load_config([path])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_files_are_the_defaults() -> None:
    assert load_config([]) == Config()


def test_files_are_laid_one_over_the_other(tmp_path: Path) -> None:
    below = write(tmp_path, "below", "seed: 2\nvision: {steps: 5, batch: 7}\ntask: {env_kwargs: {a: 1, b: 2}}")
    above = write(tmp_path, "above", "vision: {steps: 6}\ntask: {env_kwargs: {b: 3}}")
    config = load_config([below, above], {"seed": 9, "memory": {"hidden": 4}})
    assert (config.seed, config.vision.steps, config.vision.batch, config.memory.hidden) == (2, 6, 7, 4)
    assert config.task.env_kwargs == {"b": 3}  # another game's arguments are no use


def test_controllers_of_two_files_are_merged_by_name(tmp_path: Path) -> None:
    one = write(tmp_path, "one", "controllers: {a: {population: 8}}")
    two = write(tmp_path, "two", "controllers: {a: {rollouts: 3}, b: {inputs: z}}")
    controllers = load_config([one, two]).controllers
    assert controllers["a"] == ControllerConfig(population=8, rollouts=3)
    assert controllers["b"].inputs == "z"


def test_every_preset_loads() -> None:
    names = preset_names()
    assert {"car_racing", "take_cover", "laptop/car_racing", "laptop/take_cover"} <= set(names)
    for name in names:
        load_config(["car_racing", name])


@pytest.mark.parametrize("task", ["car_racing", "take_cover"])
def test_a_laptop_recipe_brings_its_game_along(task: str) -> None:
    config = load_config([f"laptop/{task}"])
    assert config.task == load_config([task]).task
    assert config == load_config([task, f"laptop/{task}"])
    assert config != load_config([task])


@pytest.mark.parametrize("task", ["car_racing", "take_cover"])
@pytest.mark.parametrize("kind", ["paper", "compare"])
def test_a_preset_for_one_game_brings_it_along(task: str, kind: str) -> None:
    config = load_config([f"{kind}_{task}"])
    assert config.task == load_config([task]).task
    assert config == load_config([task, f"{kind}_{task}"])


def test_some_presets_name_a_game() -> None:
    assert game_names() == ["car_racing", "cart_pole", "defend_the_center", "lunar_lander", "take_cover"]
    assert [name for name in preset_names() if not names_a_game([name])] == ["baselines", "optimizers", "quick"]


def test_a_file_names_a_game_by_its_id(tmp_path: Path) -> None:
    assert names_a_game(["quick", write(tmp_path, "mine", "task: {env: X-v0}")])
    assert names_a_game([write(tmp_path, "based", f"base: {tmp_path / 'mine.yaml'}")])
    assert not names_a_game(["quick", write(tmp_path, "named", "task: {name: x, max_steps: 3}")])


def test_a_base_lies_below_the_file_that_names_it(tmp_path: Path) -> None:
    lowest = write(tmp_path, "lowest", "seed: 2\nvision: {steps: 5, batch: 7, latent_dim: 3}")
    middle = write(tmp_path, "middle", f"base: {lowest}\nvision: {{steps: 6, batch: 8}}")
    above = write(tmp_path, "above", f"base: {middle}\nvision: {{batch: 9}}")
    assert load_config([above]) == load_config(
        [write(tmp_path, "c", "seed: 2\nvision: {steps: 6, batch: 9, latent_dim: 3}")]
    )
    below = write(tmp_path, "below", "seed: 4\ntask: {max_steps: 7}")
    config = load_config([below, above])
    assert (config.seed, config.task.max_steps) == (2, 7)


def test_a_base_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    write(tmp_path, "one", f"base: {two}")
    write(tmp_path, "two", f"base: {one}")
    assert f"{one} is its own `base`" in refusal(one)
    assert "There is no config none: give the path" in refusal(write(tmp_path, "c", "base: none"))
    assert "There is no config xxx" in refusal(write(tmp_path, "c", f"base: {'x' * 5000}"))
    assert "base should be the name of one config, but it is ['car_racing']" in refusal(
        write(tmp_path, "c", "base: [car_racing]")
    )


def test_the_presets_are_the_papers_models() -> None:
    car, take_cover = load_config(["car_racing"]), load_config(["take_cover"])
    assert (car.vision.latent_dim, car.memory.hidden, car.memory.mixtures) == (32, 256, 5)
    assert (take_cover.vision.latent_dim, take_cover.memory.hidden, take_cover.memory.restart_input) == (64, 512, True)
    assert take_cover.controllers["dream"].inputs == "zch"


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("visoin: {}", "visoin", "vision"),
        ("vision: {latent_dims: 3}", "latent_dims", "latent_dim"),
        ("task: {frameskip: 3}", "frameskip", "frame_skip"),
        ("controllers: {mine: {temprature: 1}}", "temprature", "temperature"),
        ("7: 3", "7", ""),
        ("null: 3", "None", ""),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path: Path, text: str, key: str, near: str) -> None:
    sentence = refusal(write(tmp_path, "c", text))
    assert f"`{key}`" in sentence
    assert f"did you mean `{near}" in sentence


def test_a_vision_model_has_options_of_its_own(tmp_path: Path) -> None:
    config = load_config([write(tmp_path, "c", "vision: {model: autoencoder, decoder: upsample}")])
    assert config.vision == vision_options("autoencoder")(model="autoencoder", decoder="upsample")
    assert load_config([write(tmp_path, "again", write_yaml(config))]) == config
    sentence = refusal(write(tmp_path, "c", "vision: {model: autoencoder, beta: 2}"))
    assert "vision: there is no option `beta`; did you mean `batch`?" in sentence


def test_a_file_that_names_another_vision_model_leaves_the_other_ones_options_behind(tmp_path: Path) -> None:
    below = write(tmp_path, "below", "vision: {beta: 2, batch: 7, decoder: upsample}")
    above = write(tmp_path, "above", "vision: {model: autoencoder, steps: 5}")
    vision = load_config([below, above]).vision
    assert to_dict(vision) == to_dict(load_config([above]).vision) | {"batch": 7, "decoder": "upsample"}
    wrong = write(tmp_path, "wrong", "vision: {kl_floor: 1}")
    with pytest.raises(UserError, match=r"wrong\.yaml: vision: there is no option `kl_floor`"):
        load_config([above, wrong])


def test_an_unknown_vision_model_in_a_file_is_refused(tmp_path: Path) -> None:
    assert "There is no vision model vea: the known ones are vae," in refusal(
        write(tmp_path, "c", "vision: {model: vea}")
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("seed: 0", "seed"),
        ("vision: {beta: -1}", "vision.beta"),
        ("seed: one", "seed"),
        ("vision: {steps: -3}", "vision.steps"),
        ("vision: {steps: 2.5}", "vision.steps"),
        ("vision: {learning_rate: .nan}", "vision.learning_rate"),
        ("vision: {learning_rate: .inf}", "vision.learning_rate"),
        ("vision: {validation_fraction: 1}", "vision.validation_fraction"),
        ("vision: 3", "vision"),
        ("vision: [3]", "vision"),
        ("vision:", "vision"),
        ("collect: {policy: lazy}", "collect.policy"),
        ("collect: {hold: [1]}", "collect.hold"),
        ("collect: {correlation: 1}", "collect.correlation"),
        ("task: {crop: [0, 1]}", "task.crop"),
        ("task: {squash: [sinh]}", "task.squash"),
        ("task: {fps: 0.0001}", "task.fps"),
        ("evaluate: {episodes: 1000000}", "evaluate.episodes"),
        ("controllers: {a: {rollouts: 1000000}}", "controllers.a.rollouts"),
        ("task: {env_kwargs: 7}", "task.env_kwargs"),
        ("controllers: {a: {population: 3}}", "controllers.a.population"),
        ("controllers: {1: {population: 5}}", "controllers.1"),
        ("controllers: {a: }", "controllers.a"),
        ("compute: {workers: -2}", "compute.workers"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(tmp_path: Path, text: str, key: str) -> None:
    assert f": {key}" in refusal(write(tmp_path, "c", text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x [1]\nb: *x", "aliases"),
        ("seed: 1\nseed: 2", "seed stands twice"),
        ("vision: {steps: 1, steps: 2}", "steps stands twice"),
        ("- 1\n- 2", "not a single list"),
        ("hello", "not a single str"),
        ("a: [", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.system ['true']", "cannot be read as YAML"),
        ("[" * 5000, "cannot be read as YAML"),
        ("{" * 5000, "cannot be read as YAML"),
        ("a: !!map scalar", "cannot be read as YAML"),
        ("? [1, 2]\n: 3", "cannot be read as YAML"),
        ("seed: 2000-99-99", "cannot be read as YAML"),
        ("#" * 200_001, "larger than"),
    ],
)
def test_a_file_that_is_no_plain_mapping_is_refused(tmp_path: Path, text: str, why: str) -> None:
    assert why in refusal(write(tmp_path, "c", text))


def test_a_yaml_bomb_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "aliases" in refusal(write(tmp_path, "bomb", "\n".join(lines)))


@pytest.mark.timeout(20)
def test_a_file_of_many_keys_is_refused_in_time(tmp_path: Path) -> None:
    assert "no option" in refusal(write(tmp_path, "long", "{" + ",".join(map(str, range(30_000))) + "}"))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x00", b"\x80abc"])
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    assert "cannot be read" in refusal(path)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        load_config([path])


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load_config([write(tmp_path, "c", "# nothing\n")]) == Config()


def test_a_missing_file_is_refused_with_the_presets(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config .*/none\.yaml: .*car_racing.*take_cover"):
        load_config([tmp_path / "none.yaml"])
    with pytest.raises(UserError, match=r"no config \.\./configs/car_racing"):
        load_config(["../configs/car_racing"])


def everything() -> Config:
    """A config with no option at its default where that is easy."""
    return Config(
        task=TaskConfig(name="ü: '#", env_kwargs={"a": [1, {"b": None}]}, crop=(1, 2, 3, 4), squash=("tanh", "half")),
        seed=2**40,
        collect=CollectConfig(correlation=1e-9, hold=(2, 3), max_steps=4),
        memory=MemoryConfig(learning_rate=1 / 3, reward_head=True),
        controllers={"a": ControllerConfig(patience=3), "b": ControllerConfig(world="dream")},
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    for config in (Config(), everything()):
        assert load_config([write(tmp_path, "c", write_yaml(config))]) == config


@pytest.mark.parametrize("key", ["seed", "iterations", "vision.steps", "collect.frames", "compute.workers"])
def test_what_could_not_be_read_back_is_refused(tmp_path: Path, key: str) -> None:
    def options(number: int) -> dict[str, Any]:
        section, _, name = key.rpartition(".")
        return {section: {name: number}} if section else {name: number}

    for number in (2**63, 10**30):
        with pytest.raises(UserError, match=f"here: {key}: input should be less than"):
            validate(options(number), "here")
    config = validate(options(2**63 - 1), "here")
    assert load_config([write(tmp_path, "c", write_yaml(config))]) == config


def test_written_options_are_plain_yaml() -> None:
    assert yaml.safe_load(write_yaml(everything())) == to_dict(everything())


def test_a_section_is_read_back_from_its_identity() -> None:
    section = everything().memory
    assert typed(MemoryConfig, identity(section), "here") == section


def test_identity_leaves_out_what_may_change_any_time() -> None:
    one, two = CollectConfig(episodes=5), CollectConfig(episodes=50)
    assert identity(one) == identity(two)
    assert identity(one) != identity(CollectConfig(correlation=0.5))
    task = TaskConfig(score_env="X-v0", score_env_kwargs={"a": 1}, success_key="won", fps=1.0)
    assert identity(task) == identity(TaskConfig())


def test_a_section_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(UserError, match="here: there is no option `hiden`; did you mean `hidden`"):
        typed(MemoryConfig, {"hiden": 3}, "here")


def test_read_yaml_gives_plain_data(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "c", "a: {b: [1, 2.5, x, true]}")) == {"a": {"b": [1, 2.5, "x", True]}}


def test_every_option_is_read_by_the_package() -> None:
    """An option that nothing reads would be a promise that nobody keeps."""
    package = CONFIGS.parent / "worldmodels"
    source = "\n".join(p.read_text() for p in package.rglob("*.py") if p.name != "config.py")
    source += "\n".join(p.read_text() for p in (CONFIGS.parent / "scripts").glob("*.py"))
    kinds = [hint for hint in typing.get_type_hints(Config).values() if dataclasses.is_dataclass(hint)]
    kinds += [vision_options(name) for name in BUILT_IN]
    names = itertools.chain.from_iterable(dataclasses.fields(kind) for kind in [*kinds, ControllerConfig])
    unread = sorted({field.name for field in names if f".{field.name}" not in source})
    assert unread == []


def test_options_that_a_stage_did_not_know_yet_were_at_their_defaults() -> None:
    asked = {"seed": 1, "memory": identity(MemoryConfig(dropout=0.2)), "controller": identity(ControllerConfig())}
    old = {name: dict(section) if isinstance(section, dict) else section for name, section in asked.items()}
    del old["memory"]["dropout"], old["controller"]["ensemble"]
    old["memory"]["hidden"] = 7
    whole = completed(old, asked)
    assert whole["controller"] == asked["controller"]
    assert whole["memory"] == asked["memory"] | {"dropout": 0.0, "hidden": 7}
    assert completed({"memory": {"gone": 1}}, {"memory": {}, "other": 2}) == {"memory": {"gone": 1}}
    imported = {"collect": "imported", "import": {"files": 3}}
    assert completed(imported, imported) == imported
    assert completed({"collect": "imported"}, asked) == {"collect": "imported"}
