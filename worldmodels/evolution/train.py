"""Stage 4: evolve C."""

import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.agent import blank_agent
from worldmodels.config import ControllerConfig
from worldmodels.disk import require_space
from worldmodels.errors import UserError
from worldmodels.evolution.first_mean import check_begin, first_mean, part_of
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.guards import asks_for_ensemble, check_world, other_members, training_guards
from worldmodels.evolution.history import Generation, History, Standing, check_keep, checksum, read_history, standing
from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.evolution.race import Play, Raced, check_heat, race
from worldmodels.evolution.report import report, say_if_luck
from worldmodels.evolution.schedule import Schedule
from worldmodels.evolution.scouting import check_scouts, with_hard_seeds
from worldmodels.kept import CONTROLLER
from worldmodels.metrics import Bar, MetricsLog, progress_bar
from worldmodels.options import identity
from worldmodels.play import Cuts
from worldmodels.previous import begun_from
from worldmodels.runs import Run
from worldmodels.seeds import torch_seed, training_seeds, validation_seeds
from worldmodels.stage import Stage
from worldmodels.tensors import save_tensors

NUMBER_BYTES = 24
"""A number in a line of `history.jsonl`."""


def train_controller(run: Run, name: str) -> None:
    """Evolve the run's controller `name` and keep the distribution's mean that validation picks.

    Writes `controller.safetensors`, `history.jsonl` and the metrics; can be killed and called again at any time, and
    with more generations or more patience once it is finished. With `previous` the first mean is another run's C.

    Raises:
        UserError: an earlier stage is missing, there is no such controller in the options, it has options of a dream
            though it is evolved in the game or options that rule each other out, or it was begun with other ones.
    """
    if name not in run.config.controllers:
        known = ", ".join(run.config.controllers) or "none"
        raise UserError(f"There is no controller {name} in the options of {run.folder}: it has {known}.")
    config = run.config.controllers[name]
    check_world(name, config)
    check_heat(name, config)
    check_scouts(name, config)
    check_begin(name, config)
    check_keep(name, config)
    stage = run.controller(name)
    options, needs = run.made_from(controller=identity(config)), [run.memory]
    options |= begun_from(run, part_of(config), lambda before: before.controller(name))
    if config.begin == "behaviour":
        needs.append(run.rollouts)
    if asks_for_ensemble(config):
        needs += other_members(run)
        options["members"] = run.config.memory.members
    with stage.begin(options, needs):
        if stage.done is None or not is_complete(read_history(stage.folder), config):
            Evolution(run, stage, name, config).run()


def is_complete(history: Sequence[Generation], config: ControllerConfig) -> bool:
    """Whether evolution is over: all generations are done, or validation has found nothing better for too long."""
    patience = config.validation_patience
    return len(history) >= config.generations or (patience is not None and standing(history).stale >= patience)


class Kept(NamedTuple):
    """The best so far, or what evolution began at: parameters (P,), and what is said of them in their file."""

    parameters: NDArray[np.float32]
    metadata: dict[str, int]


class Evolution:
    """A controller's evolution, from wherever its stage's folder has brought it."""

    def __init__(self, run: Run, stage: Stage, name: str, config: ControllerConfig) -> None:
        self.run_seed, self.stage, self.name, self.config = run.config.seed, stage, name, config
        self.agent = blank_agent(run, config)
        if config.world == "dream":
            self.agent.require_dreams()
        guards = training_guards(run, config, self.agent.starts)
        self.worlds = Worlds(self.agent, run.config.compute, config.temperature, start=config.start, guards=guards)
        seed = torch_seed(self.run_seed, "evolution")
        self.rollouts = Schedule("rollouts_schedule", config.rollouts, config.rollouts_schedule)
        self.sigmas = Schedule("sigma_schedule", config.sigma0, config.sigma_schedule)
        self.scouts = Schedule("scouts", 0, config.scouts)
        make = OPTIMIZERS[config.optimizer]
        first = first_mean(run, name, self.agent)
        self.optimizer = make(self.agent.form.parameters, config.population, config.sigma0, seed, first)
        self.means: deque[NDArray[np.float32]] = deque(maxlen=config.average)
        self.standing = Standing(keeps_last=config.keep == "last")
        self.kept = None if first is None else Kept(first, {"generation": 0})

    def run(self) -> None:
        """All generations that are left."""
        with History(self.stage.folder) as history:
            self._replay(history.generations)
            done, total = len(history.generations), self.config.generations
            with (
                MetricsLog(self.stage.folder, done) as log,
                progress_bar(f"C ({self.name})", total, "generations", done) as bar,
            ):
                if not is_complete(history.generations, self.config):
                    self._go_on(history, log, bar)
                self._say_if_stopped(history.generations, bar)
            if self.kept is None:
                raise UserError(
                    f"None of the {len(history.generations)} generations in {self.stage.folder} was validated: "
                    "ask for more generations."
                )
            summary = {
                "generations": len(history.generations),
                "best_generation": self.standing.generation,
                "stale_validations": self.standing.stale,
                "validation": self.standing.score,
                "steps": sum(entry.steps for entry in history.generations),
            }
        self._save()  # a kill may have left that of a generation which was not recorded and then came out otherwise
        self.stage.finish(summary, artefacts=[CONTROLLER])

    def _go_on(self, history: History, log: MetricsLog, bar: Bar) -> None:
        done = len(history.generations)
        with Fitness(self.worlds) as fitness:
            while not is_complete(history.generations, self.config):
                entry, rate = self._generation(fitness)
                if entry.generation == done:
                    self.stage.reopen()  # not before: a finished controller that cannot go on here stays finished
                if self._take(entry):
                    self._save()
                report(self.name, entry, len(self.means), rate, log, bar)
                history.append(entry)
                say_if_luck(self.name, self.config, history.generations, bar)

    def _replay(self, generations: list[Generation]) -> None:
        """Bring the optimiser to where the recorded generations had brought it."""
        for entry in generations:
            if checksum(self._ask()) != entry.samples:
                raise UserError(
                    f"Evolution in {self.stage.folder} cannot go on here: generation {entry.generation} comes out "
                    "otherwise than it did, on another machine or with another sigma_schedule for generations that "
                    "are over: go on there, with that one, or delete the folder to evolve again."
                )
            fitness = np.array(entry.fitness)
            if fitness.shape != (self.config.population,) or not np.isfinite(fitness).all():
                raise UserError(
                    f"Generation {entry.generation} in {self.stage.folder} is damaged: "
                    "delete the folder to evolve again."
                )
            self._check_played(entry)
            self._tell(fitness)
            self._take(entry)

    def _check_played(self, entry: Generation) -> None:
        """Raise UserError if a recorded generation played more or less than the options now say."""
        number, scouted = entry.generation, len(entry.scouted or ())
        for option, what, played, asked in (
            ("rollouts_schedule", "episodes a candidate", entry.rollouts, self.rollouts.at(number)),
            ("scouts", "scouted episodes", scouted, self.scouts.at(number)),
        ):
            if played not in (None, asked):
                raise UserError(
                    f"Generation {number} in {self.stage.folder} played {played} {what}, "
                    f"and {option} now says {asked}: change it for generations from "
                    "the next one on only, or delete the folder to evolve again."
                )

    def _ask(self) -> NDArray[np.float32]:
        """The candidates (N, P) of the next generation, at the step size that its schedule may set for it."""
        sigma = self.sigmas.change(self.optimizer.generation)
        if sigma is not None:
            self.optimizer.rescale(sigma)
        return self.optimizer.ask()

    def _tell(self, fitness: NDArray[np.float64]) -> None:
        self.optimizer.tell(fitness)
        self.means.append(self.optimizer.mean)

    def _generation(self, fitness: Fitness) -> tuple[Generation, float]:
        """The next generation, and how many training steps a second were played for it."""
        config, number, begin = self.config, self.optimizer.generation, time.perf_counter()
        left = (config.generations - number) * (config.population + config.validation_episodes) * NUMBER_BYTES
        require_space(self.stage.folder, left, f"C ({self.name})", self.worlds.compute)
        candidates, rollouts = self._ask(), self.rollouts.at(number)
        playing = time.perf_counter()
        cuts = Cuts(config.patience, config.max_steps)
        raced, scouted = self._play(lambda who, on: fitness.evaluate(who, on, config.world, cuts), candidates, rollouts)
        played = time.perf_counter() - playing
        self._tell(raced.fitness)
        validated = self._validate(fitness)
        entry = Generation(
            generation=number,
            fitness=raced.fitness.tolist(),
            samples=checksum(candidates),
            steps=raced.steps,
            rollouts=rollouts,
            sigma=self.optimizer.sigma,
            seconds=time.perf_counter() - begin,
            scouted=scouted,
            reliability=raced.reliability,
            **validated,
        )
        return entry, entry.steps / played

    def _play(self, play: Play, candidates: NDArray[np.float32], rollouts: int) -> tuple[Raced, list[float] | None]:
        """What candidates (N, P) come to, and what the mean earned that scouted for them; its steps count too."""
        number = self.optimizer.generation
        seeds = np.array(training_seeds(self.run_seed, "evolution/seeds", number, rollouts))
        scouted, scouting = None, 0
        if scouts := self.scouts.at(number):
            tried = np.array(training_seeds(self.run_seed, "evolution/scouts", number, scouts))
            seeds, earned, scouting = with_hard_seeds(play, self.optimizer.mean, seeds, tried)
            scouted = earned.tolist()
        raced = race(play, candidates, seeds, self.config.heat)
        return raced._replace(steps=scouting + raced.steps), scouted

    def _proposed(self) -> list[NDArray[np.float32]]:
        """What a validation chooses from: the mean and, if asked for, the average of the last means."""
        return [self.optimizer.mean, *([np.mean(self.means, axis=0)] if self.config.average > 1 else [])]

    def _validate(self, fitness: Fitness) -> dict[str, list[float]]:
        """Returns on the real game of what is proposed, under their names in `Generation`; all play the same episodes.

        Every few generations and after the last. What was kept so far plays as well if it has played another number of
        episodes, as luck makes the best of few look better than it is; at first that is the C that evolution began at.
        """
        config, finished = self.config, self.optimizer.generation
        if finished % config.validate_every and finished != config.generations:
            return {}
        players = dict(zip(("validation", "averaged"), self._proposed(), strict=False))
        if self.kept and self.standing.episodes != config.validation_episodes:
            players["kept"] = self.kept.parameters
        seeds = np.array(validation_seeds(config.validation_episodes))
        returns = fitness.evaluate(np.stack(list(players.values())), seeds, "real").returns
        return dict(zip(players, returns.tolist(), strict=True))

    def _take(self, entry: Generation) -> bool:
        """Whether the generation that was just told is the best so far: then what it proposed is to be kept."""
        is_best = self.standing.take(entry)
        if is_best:
            number = int(np.argmax(entry.scores))
            averaged = {"averaged": len(self.means)} if number else {}
            self.kept = Kept(self._proposed()[number], {"generation": entry.generation + 1, **averaged})
        return is_best

    def _save(self) -> None:
        if self.kept:
            parameters = torch.from_numpy(self.kept.parameters)
            save_tensors(self.stage.folder / CONTROLLER, {"parameters": parameters}, **self.kept.metadata)

    def _say_if_stopped(self, history: Sequence[Generation], bar: Bar) -> None:
        if len(history) < self.config.generations:
            bar.say(
                f"C {self.name}: stopped after {len(history)} generations, the last {self.standing.stale} "
                "validations without a new best; a larger validation_patience goes on."
            )
