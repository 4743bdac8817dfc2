"""What each guard against exploiting the dream is worth: the same evolution with each, scored in dream and game.

Takes the rollouts and the V of a run, and its M if that is finished, trains the Ms that guards need once (with dropout;
in open loop; further members), and evolves a C with each guard and seed, all with equally many generations, candidates
and dreams. Each C is then scored on whole episodes from first frames: in the dream that it was evolved in, in M's plain
dream (temperature 1, no guard), and in the game that was learned, on validation seeds that evolution has not seen.
"Last" is the search distribution's mean after the last generation; "kept" is the mean that did best in the validations
on the real game, which is what is shipped. Dreams are scored with the last. An error is a standard error: over seeds if
there are several, over episodes if there is one.

    python benchmarks/dream_guards.py --run runs/mine --to runs/guards [--guards none penalty] [--seeds 1 2 3]

Guards that are of ends are left out where M does not predict them. The run is left as it is. Can be killed and
repeated; writes `guards.md` and `guards.json` into the folder `--to`.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodels.agent import blank_agent, load_parameters
from worldmodels.cli import guarded
from worldmodels.config import Config, ControllerConfig, MemoryConfig
from worldmodels.data.copying import copy_folder
from worldmodels.errors import UserError
from worldmodels.evaluate import RANDOM
from worldmodels.evolution.first_mean import first_mean
from worldmodels.evolution.fitness import Fitness, WorldName, Worlds
from worldmodels.evolution.guards import training_guards
from worldmodels.evolution.history import read_history
from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.evolution.schedule import Schedule
from worldmodels.evolution.train import train_controller
from worldmodels.files import atomic, read_json, write_json
from worldmodels.kept import CONTROLLER
from worldmodels.memory.train import train_memory
from worldmodels.metrics import say
from worldmodels.options import load_config, typed
from worldmodels.render.summary import duration
from worldmodels.runs import Run, stored_options
from worldmodels.seeds import UNSEEN, torch_seed
from worldmodels.stage import Stage


@dataclass(frozen=True)
class Guard:
    """A guard by what it changes in C's training, and in M's; and whether it is of ends, which not every M predicts."""

    options: dict[str, Any]
    memory: dict[str, Any] = field(default_factory=dict)
    of_ends: bool = False


def all_guards(dropout: float, disagreement: float, horizon: int, open_loop: int) -> dict[str, Guard]:
    """The guards by name."""
    return {
        "none": Guard({}),
        "tau-1.15": Guard({"temperature": 1.15}),
        "tau-1.3": Guard({"temperature": 1.3}),
        "dropout": Guard({"dropout": dropout}, {"dropout": dropout}),
        "member": Guard({"ensemble": "member"}),
        "other": Guard({"ensemble": "other"}),
        "penalty": Guard({"ensemble": "penalty", "disagreement": disagreement}),
        "any-start": Guard({"start": "any", "max_steps": horizon}),
        "weighed": Guard({"ends": "weighed"}, of_ends=True),
        "open-loop": Guard({}, {"open_loop": open_loop}, of_ends=True),
    }


@dataclass(frozen=True)
class Trained:
    """A guard's C of one seed: its run, and its name there."""

    guard: str
    seed: int
    run: Run
    name: str

    @property
    def stage(self) -> Stage:
        """Its folder."""
        return self.run.controller(self.name)

    def means(self) -> NDArray[np.float32]:
        """The search distribution's last mean, and the one that was kept, (2, P)."""
        config = self.run.config.controllers[self.name]
        kept = load_parameters(self.stage.folder / CONTROLLER)
        make = OPTIMIZERS[config.optimizer]
        first = first_mean(self.run, self.name, blank_agent(self.run, config))
        optimizer = make(len(kept), config.population, config.sigma0, torch_seed(self.seed, "evolution"), first)
        sigmas = Schedule("sigma_schedule", config.sigma0, config.sigma_schedule)
        for entry in read_history(self.stage.folder):
            if (sigma := sigmas.change(entry.generation)) is not None:
                optimizer.rescale(sigma)
            optimizer.ask()
            optimizer.tell(np.array(entry.fitness))
        return np.stack([optimizer.mean, kept])


def adopt(source: Stage, target: Stage) -> None:
    """Let a finished stage of another run be one of this run, without another copy on the same disk."""
    if source.done is None or target.folder.exists():
        return
    copy_folder(source.folder, target.folder)


def prepared(source: Run, folder: Path, changes: dict[str, Any], members: int) -> Run:
    """A run of the same rollouts and V whose M is trained with some changes, and its further members."""
    config = source.config
    memory = config.memory
    if source.memory.done is not None:  # options may have been changed since
        recorded = typed(MemoryConfig, source.memory.options()["memory"], str(source.memory.folder))
        memory = dataclasses.replace(recorded, validate_every=memory.validate_every)
    run = Run(folder, dataclasses.replace(config, memory=dataclasses.replace(memory, members=members, **changes)))
    folder.mkdir(parents=True, exist_ok=True)
    for stage in ("rollouts", "vision"):
        getattr(source, stage).summary()
        adopt(getattr(source, stage), getattr(run, stage))
    adopt(source.latents, run.latents)
    if not changes:
        adopt(source.memory, run.memory)
    train_memory(run)
    return run


def evolved(run: Run, guard: str, seed: int, controller: ControllerConfig) -> Trained:
    """A guard's C, evolved now or before."""
    name = f"{guard}-{seed}"
    own = Run(run.folder, dataclasses.replace(run.config, seed=seed, controllers={name: controller}))
    train_controller(own, name)
    return Trained(guard, seed, own, name)


def base_controller(config: Config, options: argparse.Namespace) -> ControllerConfig:
    """The run's controller of the dream, without guards and with this benchmark's budget."""
    dreams = [controller for controller in config.controllers.values() if controller.world == "dream"]
    base = dreams[0] if dreams else ControllerConfig(world="dream")
    asked = {
        "population": options.population,
        "rollouts": options.rollouts,
        "generations": options.generations,
        "max_steps": options.max_steps,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    generations = given.get("generations", base.generations)
    return dataclasses.replace(
        base,
        **given,
        temperature=1.0,
        start="first",
        dropout=0.0,
        ensemble="none",
        ends="drawn",
        validation_patience=None,
        validate_every=max(1, generations // 10),
        validation_episodes=options.validation_episodes,
    )


def scored(trained: Trained, options: argparse.Namespace) -> dict[str, Any]:
    """Returns of both means in the three worlds, played now or before."""
    path = options.to / "scores" / f"{trained.name}.json"
    key = [trained.stage.fingerprint(), options.dreams, options.episodes]
    if path.exists() and (found := read_json(path))["key"] == key:
        return found
    run, config = trained.run, trained.run.config.controllers[trained.name]
    agent, means = blank_agent(run, config), trained.means()
    guards = training_guards(run, config, agent.starts)
    plain = Worlds(agent, run.config.compute, 1.0)
    worlds: dict[str, tuple[Worlds, WorldName, int]] = {
        "own": (dataclasses.replace(plain, temperature=config.temperature, guards=guards), "dream", options.dreams),
        "plain": (plain, "dream", options.dreams),
        "real": (plain, "real", options.episodes),
    }
    returns = {}
    for world, (how, kind, count) in worlds.items():
        with Fitness(how) as fitness:
            last, kept = fitness.evaluate(means, np.array(UNSEEN[:count]), kind).returns.tolist()
        returns[world] = {"last": last, "kept": kept}
    result = {
        "key": key,
        "guard": trained.guard,
        "seed": trained.seed,
        "returns": returns,
        "dream_steps": trained.stage.summary()["steps"],
        "kept_generation": trained.stage.summary()["best_generation"],
        "seconds": trained.stage.seconds(),
    }
    path.parent.mkdir(exist_ok=True)
    write_json(path, result)
    return result


def random_returns(run: Run, options: argparse.Namespace) -> list[float]:
    """What a random policy earns in the game, played now or before."""
    path = options.to / "scores" / f"random-{options.episodes}.json"
    if not path.exists():
        agent = blank_agent(run, ControllerConfig())
        seeds = np.array(UNSEEN[: options.episodes])
        with Fitness(Worlds(agent, run.config.compute, 1.0)) as fitness:
            returns = fitness.evaluate(agent.parameters[None], seeds, "blind").returns[0].tolist()
        write_json(path, {"returns": returns})
    return list(read_json(path)["returns"])


def mean_and_error(returns: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Mean over seeds (S, K) of returns, and its standard error: over seeds, or over episodes if there is one seed."""
    means = np.mean(returns, 1)
    values = means if len(means) > 1 else np.array(returns[0])
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(means.mean()), float(error)


def table(results: Sequence[dict[str, Any]], random: Sequence[float], title: str) -> str:
    """The results as Markdown, a row a guard."""
    headings = ("guard", "seeds", "its dream", "plain dream", "game, last", "game, kept", "dream steps", "time")
    columns = (("own", "last"), ("plain", "last"), ("real", "last"), ("real", "kept"))
    rows = []
    for guard in dict.fromkeys(result["guard"] for result in results):
        mine = [result for result in results if result["guard"] == guard]
        cells = [
            "{:.1f} ± {:.1f}".format(*mean_and_error([result["returns"][world][mean] for result in mine]))
            for world, mean in columns
        ]
        steps, seconds = (sum(result[name] for result in mine) / len(mine) for name in ("dream_steps", "seconds"))
        rows.append((guard, str(len(mine)), *cells, f"{steps / 1e6:.2f} M", duration(seconds)))
    rows.append((RANDOM, "", "", "", "{:.1f} ± {:.1f}".format(*mean_and_error([random])), "", "", ""))
    lines = [headings, ("---", *["---:"] * (len(headings) - 1)), *rows]
    return "\n".join([title, "", *("| " + " | ".join(line) + " |" for line in lines), ""])


def measure(options: argparse.Namespace) -> None:
    """Train what is needed, score it, and write and print the table so far after each C."""
    stored = stored_options(options.run)
    if not stored:
        raise UserError(f"There is no run {options.run}: give the folder that holds its config.yaml, with --run.")
    source = Run(options.run, load_config([], stored))
    if options.workers is not None:
        compute = dataclasses.replace(source.config.compute, workers=options.workers)
        source = Run(source.folder, dataclasses.replace(source.config, compute=compute))
    guards = all_guards(options.dropout, options.disagreement, options.horizon, options.open_loop)
    chosen = [name for name in options.guards if source.config.memory.done_head or not guards[name].of_ends]
    base = base_controller(source.config, options)
    members = options.members if any("ensemble" in guards[name].options for name in chosen) else 1
    longest = base.max_steps or source.config.task.max_steps
    title = (
        f"{source.config.task.name}: {base.generations} generations of {base.population} candidates x {base.rollouts} "
        f"dreams of up to {longest} steps for each guard and seed; each C scored on {options.dreams} dreams and "
        f"{options.episodes} real episodes."
    )
    results: list[dict[str, Any]] = []
    for seed in options.seeds:
        for name in chosen:
            guard = guards[name]
            kind, count = (name, 1) if guard.memory else ("plain", members)
            run = prepared(source, options.to / kind, guard.memory, count)
            say(f"{name}, seed {seed}")
            trained = evolved(run, name, seed, dataclasses.replace(base, **guard.options))
            results.append(scored(trained, options))
            random = random_returns(run, options)
            write_json(options.to / "guards.json", {"title": title, "results": results, "random": random})
            with atomic(options.to / "guards.md") as temporary:
                temporary.write_text(table(results, random, title), encoding="utf-8")
    print((options.to / "guards.md").read_text(encoding="utf-8"))


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a run with rollouts and V")
    parser.add_argument("--to", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--generations", type=int)
    parser.add_argument("--population", type=int)
    parser.add_argument("--rollouts", type=int)
    parser.add_argument("--max-steps", type=int, help="of a training dream")
    parser.add_argument("--validation-episodes", type=int, default=16)
    parser.add_argument("--dreams", type=int, default=256, help="dreams of a score")
    parser.add_argument("--episodes", type=int, default=64, help="real episodes of a score")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--disagreement", type=float, default=1.0)
    parser.add_argument("--horizon", type=int, default=100, help="steps of a training dream that starts anywhere")
    parser.add_argument("--open-loop", type=int, default=20, help="steps of the dreams in which M learns of ends")
    parser.add_argument("--workers", type=int)
    known = list(all_guards(0, 0, 1, 1))
    parser.add_argument("--guards", nargs="+", default=known, choices=known)
    options = parser.parse_args()
    guarded(lambda: measure(options))


if __name__ == "__main__":
    main()
