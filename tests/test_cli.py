"""The scripts: options in, a sentence and exit status 2 for whatever is wrong."""

import dataclasses
import errno
import json
import os
import runpy
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import tiny_config
from safetensors import SafetensorError

from worldmodels.agent import Agent
from worldmodels.cli import guarded, stage_main
from worldmodels.config import Config, ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evaluate import RANDOM
from worldmodels.options import load_config, write_yaml
from worldmodels.registry import BUILT_IN, vision_options
from worldmodels.runs import Run, stored_options

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
STAGES = ["collect_rollouts", "train_vision", "train_memory", "train_controller"]


class Said(typing.NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Call a script in this process."""

    def called(script: str, *arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        status = 0
        try:
            runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
        except SystemExit as error:
            status = int(error.code or 0)
        return Said(status, *capsys.readouterr())

    return called


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The tiny run's options in a YAML file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(write_yaml(tiny_config()))
    return path


def assert_refused(said: Said, why: str) -> None:
    """One sentence on standard error, and exit status 2."""
    assert said.status == 2
    assert why in said.err
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err


def results(folder: Path) -> list[str]:
    """Files in a run that look like work that was done."""
    aside = {".lock", "config.yaml", "clock.json"}
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name not in aside)


def test_the_stages_in_order_make_an_agent(call: Callable[..., Said], tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert call("collect_rollouts", "--run", run, "--config", tiny).status == 0
    for script in ("train_vision", "train_memory"):
        assert call(script, "--run", run).status == 0
    assert call("train_controller", "--run", run, "--name", "dream").status == 0
    assert Run(run, tiny_config()).controller("dream").summary()["generations"] == 4


def test_flags_win_over_files_and_files_over_what_the_run_recorded(
    call: Callable[..., Said], tiny: Path, tmp_path: Path
) -> None:
    run, more = tmp_path / "run", tmp_path / "more.yaml"
    more.write_text("collect: {episodes: 3}\nmemory: {hidden: 11}\nvision: {batch: 3}")
    call("collect_rollouts", "--run", run, "--config", tiny, more, "--collect.episodes", 2)
    stored = load_config([], stored_options(run))
    assert (stored.collect.episodes, stored.memory.hidden, stored.vision.batch) == (2, 11, 3)
    assert stored.task == tiny_config().task
    call("collect_rollouts", "--run", run, "--config", more)
    assert load_config([], stored_options(run)).collect.episodes == 3


@pytest.mark.parametrize("script", STAGES[1:])
def test_a_missing_earlier_stage_is_named(call: Callable[..., Said], tiny: Path, tmp_path: Path, script: str) -> None:
    assert_refused(call(script, "--run", tmp_path / "run", "--config", tiny), "is missing")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("script", STAGES)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vision: {latent: 3}", "no option `latent`; did you mean `latent_dim`?"),
        ("vision: {batch: 0}", "vision.batch: input should be greater than or equal to 1, but it is 0"),
        ("- 1", "not a single list"),
    ],
)
def test_wrong_options_are_refused(call: Callable[..., Said], tmp_path: Path, script: str, text: str, why: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert_refused(call(script, "--run", tmp_path / "run", "--config", tmp_path / "c.yaml"), why)
    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_refused(call: Callable[..., Said], tmp_path: Path) -> None:
    assert_refused(call("collect_rollouts", "--run", tmp_path / "run", "--config", "carracing"), "no config carracing")


NO_GAME = "names no game to begin a new run with: put a game's config before it, e.g. --config car_racing quick,"
GAMES = "one of car_racing, cart_pole, defend_the_center, lunar_lander, take_cover."


def test_a_new_run_of_no_game_is_refused(call: Callable[..., Said], tmp_path: Path) -> None:
    run = ("train_vision", "--run", tmp_path / "run", "--config", "quick")
    for flags in ((), ("--task.fps", 30)):
        said = call(*run, *flags)
        assert_refused(said, f"--config quick {NO_GAME}")
        assert GAMES in said.err
    assert not (tmp_path / "run").exists()
    assert call(*run, "--help").status == 0


def options_of(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Config:
    """The options that a stage is called with."""
    seen: list[Run] = []

    def stage(run: Run) -> None:
        """Do nothing."""
        seen.append(run)

    monkeypatch.setattr(sys, "argv", ["stage", *map(str, arguments)])
    stage_main(stage, ["task", "seed", "collect"])
    return seen[0].config


def test_a_game_is_named_by_a_config_by_a_flag_or_by_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    new = ("--run", tmp_path / "new")
    assert options_of(monkeypatch, *new) == load_config(["car_racing"])
    assert options_of(monkeypatch, *new, "--config", "paper_take_cover") == load_config(["paper_take_cover"])
    for flag in (("--task.env", "CartPole-v1"), ("--task.env=CartPole-v1",)):
        assert options_of(monkeypatch, *new, "--config", "quick", *flag).task.env == "CartPole-v1"
    Run(tmp_path, load_config(["take_cover"])).record()
    assert options_of(monkeypatch, "--run", tmp_path, "--config", "quick") == load_config(["take_cover", "quick"])


def test_configs_may_be_named_one_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = options_of(monkeypatch, "--run", tmp_path, "--config", "take_cover", "--seed", 3, "--config", "quick")
    assert config == dataclasses.replace(load_config(["take_cover", "quick"]), seed=3)


def test_a_seed_that_the_run_could_not_read_again_is_refused(
    call: Callable[..., Said], tiny: Path, tmp_path: Path
) -> None:
    common = ("collect_rollouts", "--run", tmp_path / "run", "--config", tiny, "--collect.episodes", 1)
    assert_refused(call(*common, "--seed", 2**63), "seed: input should be less than 9223372036854775808")
    assert not (tmp_path / "run").exists()
    assert call(*common, "--seed", 2**63 - 1).status == 0
    assert load_config([], stored_options(tmp_path / "run")).seed == 2**63 - 1


def test_a_wrong_flag_is_refused(call: Callable[..., Said], tiny: Path, tmp_path: Path) -> None:
    common = ("collect_rollouts", "--run", tmp_path / "run", "--config", tiny)
    assert_refused(call(*common, "--collect.correlation", 2), "collect.correlation: input should be less than 1")
    said = call(*common, "--collect.episode", 3)
    assert_refused(said, "There is no option --collect.episode; did you mean --collect.episodes?")
    assert_refused(call(*common, "--collect.episodes", "many"), "--collect.episodes takes a whole number, not many.")
    assert_refused(call(*common, "--collect.episodes", 3, 4), "4 belongs to no option")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("named", ["car", ".", "../car/"])
def test_a_checkpoints_scores_replace_those_of_no_run(
    call: Callable[..., Said], tiny_agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    tiny_agent.save(tmp_path / "car")
    monkeypatch.chdir(tmp_path if named == "car" else tmp_path / "car")
    options = ("--evaluate.episodes", 1, "--evaluate.stock", "False", "--compute.workers", 0)
    assert call("evaluate", "--checkpoint", named, *options).status == 0
    assert [path.name for path in Path("runs").iterdir()] == ["checkpoint-car"]
    scored = json.loads(Path("runs/checkpoint-car/evaluation/scores.json").read_text())["rows"]
    assert {row["agent"] for row in scored} == {"car", RANDOM}
    other = call("evaluate", "--checkpoint", named, *options, "--task.max-steps", 5)
    assert other.status == 2
    assert "task.max_steps" in other.err
    tiny_agent.save(tmp_path / "other" / "car")  # of the same name, and scored in the same folder
    assert call("evaluate", "--checkpoint", tmp_path / "other" / "car", *options).status == 0


def test_an_unknown_controller_is_refused(call: Callable[..., Said], tiny_run: Run) -> None:
    before = results(tiny_run.folder)
    assert_refused(call("train_controller", "--run", tiny_run.folder, "--name", "imagined"), "it has real, dream")
    assert results(tiny_run.folder) == before


def test_iterations_without_anyone_to_collect_are_refused(
    call: Callable[..., Said], tiny: Path, tmp_path: Path
) -> None:
    run = ("run_pipeline", "--run", tmp_path / "run", "--config", tiny)
    assert_refused(call(*run, "--iterations", 2, "--explorer", "dreem"), "explorer is dreem, of real, dream")
    assert_refused(call(*run, "--iterations", 0), "iterations")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_refused(call: Callable[..., Said], tiny: Path) -> None:
    assert_refused(call("collect_rollouts", "--run", tiny / "run", "--config", tiny), "cannot be made")


def test_a_damaged_run_is_refused(call: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("vision: [")
    for script in STAGES:
        assert_refused(call(script, "--run", tmp_path), "config.yaml cannot be read as YAML")


def test_an_address_without_ray_is_refused(call: Callable[..., Said], tiny: Path, tmp_path: Path) -> None:
    flags = ("--compute.workers", 2, "--compute.ray-address", "127.0.0.1:1")
    said = call("collect_rollouts", "--run", tmp_path / "run", "--config", tiny, *flags)
    assert_refused(said, "No Ray cluster answers at compute.ray_address 127.0.0.1:1")
    assert results(tmp_path / "run") == []


def test_an_unknown_game_is_refused_and_can_be_mended(call: Callable[..., Said], tiny: Path, tmp_path: Path) -> None:
    common = ("collect_rollouts", "--run", tmp_path / "run", "--config", tiny)
    assert_refused(call(*common, "--task.env", "Nowhere-v0"), "The game Nowhere-v0 cannot be made")
    assert results(tmp_path / "run") == []
    assert call(*common).status == 0


def test_an_unknown_vision_model_is_refused_and_can_be_mended(
    call: Callable[..., Said], tiny: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    call("collect_rollouts", "--run", run, "--config", tiny)
    assert_refused(call("train_vision", "--run", run, "--vision.model", "gan2"), "There is no vision model gan2")
    assert call("train_vision", "--run", run, "--vision.model", "counter").status == 0


@pytest.mark.parametrize("model", BUILT_IN)
def test_help_lists_the_options_of_the_chosen_vision_model(call: Callable[..., Said], model: str) -> None:
    helped = call("train_vision", "--run", "x", "--vision.model", model, "--help").out
    others = {field.name for name in BUILT_IN for field in dataclasses.fields(vision_options(name))}
    own = {field.name for field in dataclasses.fields(vision_options(model))}
    shown = {name for name in others if f"--vision.{name.replace('_', '-')} " in helped}
    assert shown == own


def test_an_option_of_another_vision_model_is_refused(call: Callable[..., Said], tiny: Path, tmp_path: Path) -> None:
    common = ("train_vision", "--run", tmp_path / "run", "--config", tiny, "--vision.model", "autoencoder")
    assert_refused(call(*common, "--vision.beta", 2), "There is no option --vision.beta")


def test_a_run_that_was_begun_with_another_vision_model_is_refused_by_its_name(
    call: Callable[..., Said], tiny: Path, tmp_path: Path
) -> None:
    call("collect_rollouts", "--run", tmp_path / "run", "--config", tiny)
    call("train_vision", "--run", tmp_path / "run")
    said = call("train_vision", "--run", tmp_path / "run", "--vision.model", "vae")
    assert_refused(said, "vision.model = counter, and vae is asked for")


def test_a_device_that_is_not_there_is_refused(call: Callable[..., Said], tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    call("collect_rollouts", "--run", run, "--config", tiny)
    assert_refused(
        call("train_vision", "--run", run, "--compute.device", "abacus"), "compute.device: abacus is not usable"
    )


def test_a_script_of_its_own_process_ends_with_status_2_and_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, SCRIPTS / "train_vision.py", "--run", "run"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert_refused(Said(said.returncode, said.stdout, said.stderr), "run scripts/collect_rollouts.py first")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_who_leaves_ends_a_script_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, str(SCRIPTS / "evaluate.py"), "--help"]
    said = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (said.returncode, said.stderr) == (141, b"")


def test_a_pipe_that_breaks_elsewhere_is_no_reader_who_left() -> None:
    def work() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        guarded(work)


def test_every_option_stands_in_a_scripts_help(call: Callable[..., Said]) -> None:
    helped = "".join(call(script.stem, "--help", "--run", "x").out for script in sorted(SCRIPTS.glob("*.py")))
    missing = []
    for section, kind in typing.get_type_hints(Config).items():
        if section == "later":
            continue  # for files only
        if section == "controllers":
            section, kind = "controllers.real", ControllerConfig
        # keyword arguments have flags only for the keys that a preset gives them
        fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        names = [field.name for field in fields if not field.name.endswith("kwargs")] or [""]
        flags = [f"--{section}.{name}".rstrip(".").replace("_", "-") for name in names]
        missing += [flag for flag in flags if flag not in helped]
    assert missing == []


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_every_script_helps(call: Callable[..., Said], script: str) -> None:
    said = call(script, "--help", "--run", "x")
    assert said.status == 0
    assert "--run" in said.out


def guard(error: BaseException, capsys: pytest.CaptureFixture[str]) -> Said:
    def work() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        guarded(work)
    return Said(int(ended.value.code or 0), *capsys.readouterr())


def test_errors_for_people_become_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(guard(UserError("The cat is out."), capsys), "The cat is out.")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_full_or_forbidden_disk_is_a_sentence(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    expected = f"/x/y cannot be written: {os.strerror(number)}. What is finished is kept"
    assert_refused(guard(OSError(number, "No room", "/x/y"), capsys), expected)


@pytest.mark.parametrize("kind", [OSError, SafetensorError])
def test_a_full_disk_that_a_library_reports_in_words_is_a_sentence(
    kind: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind("LanceError(IO): No space left on device (os error 28), writer.rs:190")
    assert_refused(guard(error, capsys), "A file of the run cannot be written: No space left on device")


@pytest.mark.parametrize("ask", [lambda: np.zeros((10**7, 10**7)), lambda: torch.zeros(10**7, 10**7)])
def test_memory_that_is_not_there_is_a_sentence(ask: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded(ask)
    assert_refused(Said(int(ended.value.code or 0), *capsys.readouterr()), "more memory than there is")


def test_a_stop_by_hand_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    said = guard(KeyboardInterrupt(), capsys)
    assert (said.status, said.err.count("\n")) == (130, 1)


def test_a_bug_keeps_its_traceback() -> None:
    def work() -> None:
        raise OSError(errno.EBADF, "a bug")

    with pytest.raises(OSError, match="a bug"):
        guarded(work)
