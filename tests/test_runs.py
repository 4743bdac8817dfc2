import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from worldmodels.config import Config
from worldmodels.errors import UserError
from worldmodels.files import atomic, read_json, write_json
from worldmodels.records import first_difference, versions
from worldmodels.runs import Run, stored_options
from worldmodels.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "run" / "vision", "V", "scripts/train_vision.py")


def finish(stage: Stage, options: dict, content: str = "x", needs: tuple[Stage, ...] = (), **summary: object) -> str:
    with stage.begin(options, needs):
        (stage.folder / "file").write_text(content)
        stage.finish(summary, ["file"])
    return stage.fingerprint()


def test_an_atomic_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old and longer")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old and longer"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_atomic_write_is_on_disk_before_and_after_it_takes_its_place(tmp_path: Path, monkeypatch) -> None:
    synced, sync = [], os.fsync

    def watched(descriptor: int) -> None:
        synced.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, (tmp_path / "x.txt").exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_json(tmp_path / "x.txt", {})
    (temporary, before), (folder, after) = synced
    assert temporary.startswith(".x.txt.")
    assert (before, folder, after) == (False, tmp_path.name, True)


def fill_the_disk(path: Path) -> None:
    path.write_text("half")
    raise OSError("full")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), atomic(path) as temporary:
        fill_the_disk(temporary)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "x", {"a": [1, None, "ü"]})
    assert read_json(tmp_path / "x") == {"a": [1, None, "ü"]}


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b"nul"])
def test_damaged_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UserError, match="x"):
        read_json(tmp_path / "x")


def test_a_stage_is_unfinished_until_it_is_finished(stage: Stage) -> None:
    with pytest.raises(UserError, match=r"V is missing in .*: run scripts/train_vision\.py first"):
        stage.summary()
    with stage.begin({"a": 1}):
        assert stage.started
        assert stage.done is None
        with pytest.raises(UserError, match="V is not finished"):
            stage.summary()
        stage.finish({"loss": 2.0})
    assert stage.summary() == {"loss": 2.0}
    assert stage.options() == {"a": 1}


def test_a_stage_records_versions_and_options_when_it_begins(stage: Stage) -> None:
    recorded = []
    stage.record = lambda: recorded.append(True)
    with stage.begin({"a": (1, 2)}):
        pass
    options = read_json(stage.folder / "options.json")
    assert options["options"] == {"a": [1, 2]}
    assert options["versions"] == versions()
    assert {"python", "torch", "numpy"} <= set(options["versions"])
    assert recorded == [True]


def test_a_stage_goes_on_with_the_same_options_and_refuses_others(stage: Stage) -> None:
    with stage.begin({"vision": {"steps": 5, "batch": (1, 2)}}):
        pass
    with stage.begin({"vision": {"steps": 5, "batch": (1, 2)}}):
        pass
    with pytest.raises(UserError, match=r"made with vision\.steps = 5, and 6 is asked for"):
        stage.begin({"vision": {"steps": 6, "batch": (1, 2)}}).__enter__()


def test_a_fingerprint_names_options_inputs_summary_and_files(tmp_path: Path) -> None:
    def made(name: str, **change: object) -> str:
        asked = {"options": {"a": 1}, "content": "x", "loss": 1.0} | change
        return finish(Stage(tmp_path / name / "vision", "V", "x"), asked.pop("options"), asked.pop("content"), **asked)

    same = made("one")
    assert made("two") == same
    assert len({same, made("three", options={"a": 2}), made("four", content="y"), made("five", loss=2.0)}) == 4


def test_a_stage_made_from_another_input_is_refused(stage: Stage, tmp_path: Path) -> None:
    rollouts = Stage(tmp_path / "run" / "rollouts", "The rollouts", "x")
    finish(rollouts, {}, "old")
    finish(stage, {}, needs=(rollouts,))
    finish(rollouts, {}, "new")
    with pytest.raises(UserError, match="was made from another rollouts"):
        finish(stage, {}, needs=(rollouts,))


def test_a_stage_does_not_begin_before_what_it_needs_is_finished(stage: Stage, tmp_path: Path) -> None:
    rollouts = Stage(tmp_path / "run" / "rollouts", "The collection", "scripts/collect_rollouts.py")
    with pytest.raises(UserError, match="The collection is missing"):
        finish(stage, {}, needs=(rollouts,))
    assert not stage.folder.exists()


def test_another_version_of_the_layout_is_refused(stage: Stage) -> None:
    finish(stage, {})
    record = read_json(stage.folder / "options.json")
    write_json(stage.folder / "options.json", record | {"schema": 99})
    with pytest.raises(UserError, match=r"newer version of this project \(schema 99"):
        finish(stage, {})


@pytest.mark.parametrize("content", ['{"schema": 1}', '{"schema": 1, "options": [], "upstream": {}}', "{}"])
def test_damaged_options_are_refused(stage: Stage, content: str) -> None:
    finish(stage, {})
    (stage.folder / "options.json").write_text(content)
    with pytest.raises(UserError, match="is damaged: delete"):
        stage.summary()


@pytest.mark.parametrize(
    ("before", "after"), [('"loss": 1.0', '"loss": 2.0'), ('"file"', '"life"'), ('"a": 1', '"a": 2')]
)
def test_a_stages_records_that_were_changed_are_refused(stage: Stage, before: str, after: str) -> None:
    finish(stage, {"a": 1}, loss=1.0)
    path = stage.folder / ("options.json" if before.startswith('"a"') else "done.json")
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(UserError, match=r"done\.json is damaged"):
        stage.summary()


def test_what_a_killed_process_left_half_written_is_swept_away(stage: Stage) -> None:
    with stage.begin({}):
        (stage.folder / ".done.json.123.tmp.json").write_text("half")
    with stage.begin({}):
        assert not list(stage.folder.glob(".*.tmp*"))


def test_what_a_kill_left_beside_a_runs_options_goes_and_the_users_own_files_stay(tmp_path: Path) -> None:
    for name in (".config.yaml.123.tmp.yaml", ".mine.tmp", ".agent.123.tmp/config.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    Run(tmp_path, Config()).record()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".agent.123.tmp", ".mine.tmp", "config.yaml"]


def test_a_reopened_stage_is_unfinished(stage: Stage) -> None:
    finish(stage, {})
    stage.reopen()
    assert stage.done is None
    stage.reopen()


def test_a_stage_that_begins_in_earnest_leaves_options_alone_that_others_recorded_since(tmp_path: Path) -> None:
    with Run(tmp_path, Config(seed=1)).vision.begin({}):
        Run(tmp_path, Config(seed=2)).record()
        Run(tmp_path, Config(seed=1)).vision.reopen()
    assert stored_options(tmp_path)["seed"] == 2


def test_a_refused_command_leaves_the_options_that_the_run_was_made_with(tmp_path: Path) -> None:
    run, other = (Run(tmp_path, Config(seed=seed)) for seed in (1, 2))
    finish(run.rollouts, {})
    finish(run.vision, {"seed": 1}, needs=(run.rollouts,))
    with other.rollouts.begin({}):
        pass
    with pytest.raises(UserError, match="made with seed = 1, and 2 is asked for"):
        other.vision.begin({"seed": 2}).__enter__()
    assert stored_options(tmp_path)["seed"] == 1
    other.rollouts.reopen()
    assert stored_options(tmp_path)["seed"] == 2


def test_part_of_a_stages_options_can_be_compared(stage: Stage) -> None:
    finish(stage, {"a": 1, "b": (2, 3)})
    stage.check_options({"b": (2, 3)})
    with pytest.raises(UserError, match="made with a = 1, and 2 is asked for"):
        stage.check_options({"a": 2})


def test_what_was_made_from_another_v_or_m_is_noticed_all_the_way_up(tmp_path: Path) -> None:
    run = Run(tmp_path, Config())
    finish(run.rollouts, {})
    finish(run.vision, {}, needs=(run.rollouts,))
    finish(run.latents, {}, needs=(run.rollouts, run.vision))
    finish(run.memory, {}, needs=(run.latents,))
    finish(run.controller("real"), {}, needs=(run.memory,))
    finish(run.rollouts, {}, "more")
    run.check_lineage(run.controller("real"))
    finish(run.vision, {}, "another", needs=())
    with pytest.raises(UserError, match=r"latents was made from another vision than the one that the run now has"):
        run.check_lineage(run.controller("real"))
    shutil.rmtree(run.latents.folder)
    run.check_lineage(run.controller("real"))
    finish(run.memory, {}, "another", needs=())
    with pytest.raises(UserError, match=r"controllers/real was made from another memory"):
        run.check_lineage(run.controller("real"))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match="cannot be made"):
        finish(Stage(tmp_path / "run" / "vision", "V", "x"), {})


def test_a_second_process_is_refused_until_the_first_dies(stage: Stage) -> None:
    code = f"""
        import sys, time
        from pathlib import Path
        from worldmodels.stage import Stage
        with Stage(Path({str(stage.folder)!r}), "V", "x").begin({{}}):
            print("in", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(UserError, match="Another process works in"):
            finish(stage, {})
        other.kill()
        other.wait()
        finish(stage, {})


def test_the_first_difference_has_a_dotted_key() -> None:
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 1}}) is None
    assert first_difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == ("a.c", 2, 3)
    assert first_difference({"a": 1}, {"a": 1, "b": 2}) == ("b", None, 2)
    assert first_difference({"a": [1, 2]}, {"a": [1, 3]}) == ("a", [1, 2], [1, 3])


def test_a_run_keeps_the_options_it_was_last_used_with(tmp_path: Path) -> None:
    assert stored_options(tmp_path / "none") == {}
    run = Run(tmp_path, Config(seed=3))
    with run.vision.begin({}):
        pass
    assert stored_options(tmp_path)["seed"] == 3


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "-a", "a b", "ä", "x" * 65, "a\n"])
def test_a_controllers_name_is_a_plain_word(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is no name for a controller"):
        Run(tmp_path, Config()).controller(name)


def test_a_finished_run_holds_results_and_no_traces_of_work(tiny_run: Run) -> None:
    for stage in (tiny_run.rollouts, tiny_run.vision, tiny_run.latents, tiny_run.memory, tiny_run.controller("real")):
        assert len(stage.fingerprint()) == 16
        names = {path.name for path in stage.folder.iterdir()}
        assert not {"resume.safetensors", "progress.json"} & names
        assert not [name for name in names if ".tmp" in name]


def test_a_file_that_changed_since_its_stage_finished_is_refused(tmp_path: Path) -> None:
    vision = Stage(tmp_path / "run" / "vision", "V", "scripts/train_vision.py")
    with vision.begin({}):
        (vision.folder / "vision.safetensors").write_bytes(b"weights")
        vision.finish({}, ["vision.safetensors"])
    (vision.folder / "vision.safetensors").write_bytes(b"weighty")
    memory = Stage(tmp_path / "run" / "memory", "M", "scripts/train_memory.py")
    with (
        pytest.raises(UserError, match=r"vision\.safetensors is missing or damaged.*scripts/train_vision\.py"),
        memory.begin({}, [vision]),
    ):
        pass
    assert not memory.folder.exists()


def test_options_that_a_stage_refuses_later_on_are_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Run(folder, Config()).comparison.begin({}) as _:
        (folder / "comparison" / "table.md").write_text("made")
    with pytest.raises(UserError, match="no"), Run(folder, Config(seed=2)).comparison.begin({}):
        raise UserError("no")
    assert stored_options(folder)["seed"] == 1


def test_options_that_were_refused_are_not_kept(tmp_path: Path) -> None:
    good, bad = Config(), Config(seed=2)
    folder = tmp_path / "run"
    with Run(folder, good).rollouts.begin({}):
        pass
    with pytest.raises(UserError, match="no"), Run(folder, bad).vision.begin({}):
        raise UserError("no")
    assert stored_options(folder)["seed"] == 1
