import dataclasses
import json
import time
from typing import Any

import numpy as np
import pytest
from counting import COUNT, SCALE
from evolving import evolve

from worldmodels.agent import agent_of_run, blank_agent, load_parameters
from worldmodels.config import ControllerConfig
from worldmodels.dream import DreamVectorEnv
from worldmodels.errors import UserError
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.history import History, read_history
from worldmodels.evolution.train import train_controller
from worldmodels.kept import CONTROLLER
from worldmodels.metrics import read_metrics
from worldmodels.play import Cuts
from worldmodels.runs import Run
from worldmodels.seeds import TRAINING, VALIDATION


@pytest.mark.parametrize("name", ["real", "dream"])
def test_the_best_validated_mean_is_kept(tiny_run: Run, name: str) -> None:
    folder = tiny_run.controller(name).folder
    history = read_history(folder)
    assert [bool(entry.validation) for entry in history] == [False, True, False, True]
    scores = {entry.generation: np.mean(entry.validation) for entry in history if entry.validation}
    summary = tiny_run.controller(name).summary()
    assert summary["best_generation"] == max(scores, key=lambda number: scores[number])
    assert summary["validation"] == pytest.approx(max(scores.values()))
    assert load_parameters(folder / CONTROLLER).any()


def test_the_kept_controller_scores_what_its_validation_says(tiny_run: Run) -> None:
    agent = agent_of_run(tiny_run, "real")
    with Fitness(Worlds(agent, tiny_run.config.compute, 1.0)) as fitness:
        seeds = np.arange(1_000_000, 1_000_003)
        outcomes = fitness.evaluate(agent.parameters[None], seeds, "real")
    assert outcomes.returns.mean() == pytest.approx(tiny_run.controller("real").summary()["validation"])


def test_every_generation_is_measured(tiny_run: Run) -> None:
    entries = read_metrics(tiny_run.controller("real").folder)
    assert [entry["step"] for entry in entries if "mean" in entry] == [1, 2, 3, 4]
    assert [entry["step"] for entry in entries if "validation" in entry] == [2, 4]


def test_a_generation_plays_its_own_training_seeds_and_validation_always_the_same(
    copy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[tuple[str, int, tuple[int, ...]]] = []
    original = Fitness.evaluate

    def watched(self: Fitness, candidates: np.ndarray, seeds: np.ndarray, world: str, *cuts: Cuts) -> object:
        played.append((world, len(candidates), tuple(seeds.tolist())))
        return original(self, candidates, seeds, world, *cuts)

    monkeypatch.setattr(Fitness, "evaluate", watched)
    evolve(copy, "asleep", world="dream", generations=4)
    training = [seeds for world, count, seeds in played if (world, count) == ("dream", 4)]
    validation = [seeds for world, count, seeds in played if (world, count) == ("real", 1)]
    assert len(set(training)) == 4
    assert {seed for seeds in training for seed in seeds} <= set(TRAINING)
    assert validation == [tuple(VALIDATION[:3])] * 2


def test_more_generations_later_go_on(copy: Run) -> None:
    before = read_history(copy.controller("real").folder)
    run = evolve(copy, "real", generations=6)
    after = read_history(run.controller("real").folder)
    assert after[:4] == before
    assert len(after) == 6
    assert run.controller("real").summary()["generations"] == 6


@pytest.mark.parametrize("world", ["real", "dream"])
def test_a_race_goes_on_where_it_was_left(copy: Run, world: str) -> None:
    options = {"world": world, "population": 6, "rollouts": 3, "heat": 1}
    straight = evolve(copy, "straight", generations=4, **options).controller("straight")
    evolve(copy, "halted", generations=2, **options)
    halted = evolve(copy, "halted", generations=4, **options).controller("halted")
    assert (straight.folder / CONTROLLER).read_bytes() == (halted.folder / CONTROLLER).read_bytes()
    fitness = [entry.fitness for entry in read_history(straight.folder)]
    assert fitness == [entry.fitness for entry in read_history(halted.folder)]
    whole = read_history(evolve(copy, "whole", generations=1, **options | {"heat": 0}).controller("whole").folder)
    assert len(set(fitness[0]) & set(whole[0].fitness)) >= 3
    assert read_history(straight.folder)[0].steps < whole[0].steps


@pytest.mark.parametrize("world", ["real", "dream"])
def test_scouting_begins_with_its_generation_and_goes_on_where_it_was_left(copy: Run, world: str) -> None:
    options = {"world": world, "population": 6, "rollouts": 3, "scouts": ((1, 5),)}
    straight = evolve(copy, "straight", generations=4, **options).controller("straight")
    evolve(copy, "halted", generations=2, **options)
    halted = evolve(copy, "halted", generations=4, **options).controller("halted")
    assert (straight.folder / CONTROLLER).read_bytes() == (halted.folder / CONTROLLER).read_bytes()
    one, other = read_history(straight.folder), read_history(halted.folder)
    assert [(entry.fitness, entry.scouted) for entry in one] == [(entry.fitness, entry.scouted) for entry in other]
    assert [len(entry.scouted or ()) for entry in one] == [0, 5, 5, 5]
    blind = read_history(evolve(copy, "blind", generations=2, **options | {"scouts": ()}).controller("blind").folder)
    assert one[0].fitness == blind[0].fitness
    assert one[1].samples == blind[1].samples
    assert np.mean(one[1].fitness) < np.mean(blind[1].fitness)
    with pytest.raises(UserError, match=r"Generation 1 in .* played 5 scouted episodes, and scouts now says 0"):
        evolve(copy, "halted", generations=5, **options | {"scouts": ((4, 5),)})


PATIENT = {"validate_every": 1, "generations": 40}


def test_evolution_stops_when_validation_finds_nothing_better(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run = evolve(copy, "new", validation_patience=2, **PATIENT)
    scores = [np.mean(entry.validation) for entry in read_history(run.controller("new").folder)]
    best = int(np.argmax(scores))
    assert len(scores) == best + 3 < 40
    assert f"stopped after {len(scores)} generations" in capsys.readouterr().err
    summary = run.controller("new").summary()
    assert (summary["generations"], summary["best_generation"], summary["stale_validations"]) == (best + 3, best, 2)
    agent = agent_of_run(run, "new")
    with Fitness(Worlds(agent, run.config.compute, 1.0)) as fitness:
        shipped = fitness.evaluate(agent.parameters[None], np.arange(1_000_000, 1_000_003), "real").returns.mean()
    assert shipped == pytest.approx(scores[best])


def test_more_patience_later_goes_on_and_less_changes_nothing(copy: Run) -> None:
    short = evolve(copy, "new", validation_patience=1, **PATIENT).controller("new")
    before = read_history(short.folder)
    evolve(copy, "new", validation_patience=3, **PATIENT)
    after = read_history(short.folder)
    assert after[: len(before)] == before
    assert len(after) >= len(before) + 2
    for patience in (1, 3):
        done = (short.folder / "done.json").read_bytes()
        evolve(copy, "new", validation_patience=patience, **PATIENT)
        assert read_history(short.folder) == after
        assert (short.folder / "done.json").read_bytes() == done
    straight = evolve(copy, "straight", validation_patience=3, **PATIENT).controller("straight")
    assert [e.fitness for e in read_history(straight.folder)] == [e.fitness for e in after]
    assert (straight.folder / CONTROLLER).read_bytes() == (short.folder / CONTROLLER).read_bytes()


@pytest.mark.parametrize("left", [0, 1, 3])
def test_an_evolution_killed_before_its_early_stop_stops_at_the_same_generation(copy: Run, left: int) -> None:
    stage = evolve(copy, "new", validation_patience=1, **PATIENT).controller("new")
    whole, kept, done = ((stage.folder / name).read_bytes() for name in ("history.jsonl", CONTROLLER, "done.json"))
    (stage.folder / "done.json").unlink()
    (stage.folder / CONTROLLER).unlink()
    lines = whole.decode().splitlines(keepends=True)
    (stage.folder / "history.jsonl").write_text("".join(lines[:left]))
    evolve(copy, "new", validation_patience=1, **PATIENT)
    assert len(read_history(stage.folder)) == len(lines)
    assert (stage.folder / CONTROLLER).read_bytes() == kept
    assert (stage.folder / "done.json").read_bytes() == done


def test_fewer_generations_later_change_nothing(copy: Run) -> None:
    before = (copy.controller("real").folder / CONTROLLER).read_bytes()
    run = evolve(copy, "real", generations=2)
    assert run.controller("real").summary()["generations"] == 4
    assert (run.controller("real").folder / CONTROLLER).read_bytes() == before


def test_fewer_generations_than_have_been_played_and_none_validated_is_refused(copy: Run) -> None:
    evolve(copy, "new", generations=3, validate_every=3)
    folder = copy.controller("new").folder
    path = folder / "history.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    (folder / "done.json").unlink()
    with pytest.raises(UserError, match="None of the 2 generations"):
        evolve(copy, "new", generations=1, validate_every=3)


def test_other_options_are_refused_by_name(copy: Run) -> None:
    with pytest.raises(UserError, match=r"controller\.population = 4, and 5 is asked for"):
        evolve(copy, "real", population=5)


def test_an_unknown_controller_is_refused(tiny_run: Run) -> None:
    with pytest.raises(UserError, match=r"no controller imagined in the options of .*: it has real, dream"):
        train_controller(tiny_run, "imagined")


def test_a_history_of_another_evolution_is_refused(copy: Run) -> None:
    evolve(copy, "new", generations=2)
    folder = copy.controller("new").folder
    first, second = read_history(folder)
    (folder / "history.jsonl").unlink()
    with History(folder) as history:
        history.append(first)
        history.append(dataclasses.replace(second, samples=second.samples + 1))
    done = (folder / "done.json").read_bytes()
    with pytest.raises(UserError, match="generation 1 comes out otherwise"):
        evolve(copy, "new", generations=3)
    assert (folder / "done.json").read_bytes() == done


@pytest.mark.parametrize("fitness", [[1.0], [1.0, 2.0, 3.0, float("nan")], ["a"] * 4, [None] * 4, 3.0])
def test_a_history_with_a_damaged_fitness_is_refused(copy: Run, fitness: object) -> None:
    evolve(copy, "new", generations=2)
    path = copy.controller("new").folder / "history.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["fitness"] = fitness
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError):
        evolve(copy, "new", generations=3)
    assert copy.controller("new").done


def test_more_generations_that_cannot_be_played_leave_what_is_finished(
    copy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = copy.controller("real")
    done = (stage.folder / "done.json").read_bytes()

    def broken(*arguments: object) -> None:
        raise UserError("The game is not installed.")

    with monkeypatch.context() as patch:
        patch.setattr(Fitness, "evaluate", broken)
        with pytest.raises(UserError, match="not installed"):
            evolve(copy, "real", generations=6)
    assert (stage.folder / "done.json").read_bytes() == done
    evolve(copy, "real", generations=6)
    assert stage.summary()["generations"] == 6


def test_more_generations_that_the_disk_has_no_room_for_leave_what_is_finished(copy: Run, full_disk: None) -> None:
    done = (copy.controller("real").folder / "done.json").read_bytes()
    with pytest.raises(UserError, match=r"C \(real\) needs about"):
        evolve(copy, "real", generations=6)
    assert (copy.controller("real").folder / "done.json").read_bytes() == done


def test_the_rate_is_that_of_training_alone(copy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original, pause = Fitness.evaluate, 0.2

    def slow(self: Fitness, candidates: np.ndarray, *rest: Any) -> object:
        if len(candidates) == 1:  # a validation
            time.sleep(pause)
        return original(self, candidates, *rest)

    monkeypatch.setattr(Fitness, "evaluate", slow)
    folder = evolve(copy, "slow", generations=1).controller("slow").folder
    rate = next(entry["steps_per_second"] for entry in read_metrics(folder) if "steps_per_second" in entry)
    (entry,) = read_history(folder)
    assert entry.steps / rate <= entry.seconds - pause


def test_an_agent_with_an_untrained_memory_evolves_in_the_game_but_has_no_dream(copy: Run) -> None:
    run = evolve(copy, "blank", memory="untrained", generations=2)
    agent = blank_agent(run, run.config.controllers["blank"])
    trained = blank_agent(run, run.config.controllers["real"])
    assert not np.allclose(agent.memory.head.weight.detach(), trained.memory.head.weight.detach())
    with pytest.raises(UserError, match="untrained M has no dreams"):
        evolve(copy, "asleep", memory="untrained", world="dream")


def test_a_dream_that_nothing_can_be_won_in_is_refused(tiny_run: Run) -> None:
    agent = blank_agent(tiny_run, ControllerConfig())
    agent.memory.config = dataclasses.replace(agent.memory.config, reward_head=False, done_head=False)
    with pytest.raises(UserError, match="predicts neither rewards nor ends"):
        agent.dream_world(2, 1.0)


@pytest.mark.parametrize("start", ["first", "any"])
def test_dreams_begin_where_the_options_say(copy: Run, monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    begun: list[int] = []
    original = DreamVectorEnv.reset

    def watched(dream: DreamVectorEnv, **arguments: Any) -> Any:
        observation, info = original(dream, **arguments)
        counts = np.rint(observation[arguments["options"]["reset_mask"], COUNT] * SCALE)
        begun.extend(counts.astype(int))
        return observation, info

    monkeypatch.setattr(DreamVectorEnv, "reset", watched)
    evolve(copy, "begun", world="dream", start=start, rollouts=8, generations=2)
    assert len(begun) >= 64
    assert (set(begun) == {0}) == (start == "first")


def test_candidates_are_tried_on_the_same_seeds_and_shaped_by_candidate(tiny_run: Run) -> None:
    agent = blank_agent(tiny_run, tiny_run.config.controllers["real"])
    parameters = agent.form.parameters
    candidates = np.zeros((5, parameters), np.float32)
    candidates[:, -1] = [-1, -0.5, 0, 0.5, 1]  # the bias alone: a steady action each
    seeds = np.array([8, 17, 26, 7])  # 9, 9, 9 and 8 steps
    with Fitness(Worlds(agent, tiny_run.config.compute, 1.0)) as fitness:
        fitness.pool.size = 3  # as many parts, as if there were three workers
        outcomes = fitness.evaluate(candidates, seeds, "real")
        cut = fitness.evaluate(candidates[:2], seeds, "real", Cuts(max_steps=3))
    steps = np.array([9, 9, 9, 8])
    expected = steps * (steps - 1) / 2 + np.tanh([[-1], [-0.5], [0], [0.5], [1]]) * steps / 4
    assert outcomes.returns == pytest.approx(expected, abs=1e-5)
    assert (outcomes.lengths == steps).all()
    assert (cut.lengths == 3).all()
