"""Stage 4: evolve C."""

import time
from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.agent import blank_agent
from worldmodels.config import ControllerConfig
from worldmodels.disk import require_space
from worldmodels.errors import UserError
from worldmodels.evolution.first_mean import first_mean
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.guards import asks_for_ensemble, other_members, training_guards
from worldmodels.evolution.history import Generation, History, checksum, read_history, stale_validations
from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.evolution.schedule import Schedule
from worldmodels.kept import CONTROLLER
from worldmodels.metrics import Bar, MetricsLog, progress_bar
from worldmodels.options import identity
from worldmodels.play import Cuts
from worldmodels.previous import begun_from
from worldmodels.runs import Run, Stage
from worldmodels.seeds import torch_seed, training_seeds, validation_seeds
from worldmodels.tensors import save_tensors

NUMBER_BYTES = 24
"""A number in a line of `history.jsonl`."""


def train_controller(run: Run, name: str) -> None:
    """Evolve the run's controller `name` and keep the distribution's mean that did best on the validation seeds.

    Writes `controller.safetensors`, `history.jsonl` and the metrics; can be killed and called again at any time, and
    with more generations or more patience once it is finished. With `previous` the first mean is another run's C.

    Raises:
        UserError: an earlier stage is missing, there is no such controller in the options, or it was begun with other
            ones.
    """
    if name not in run.config.controllers:
        known = ", ".join(run.config.controllers) or "none"
        raise UserError(f"There is no controller {name} in the options of {run.folder}: it has {known}.")
    config = run.config.controllers[name]
    stage = run.controller(name)
    options, needs = run.made_from(controller=identity(config)), [run.memory]
    options |= begun_from(run, lambda before: before.controller(name))
    if asks_for_ensemble(config):
        needs += other_members(run)
        options["members"] = run.config.memory.members
    with stage.begin(options, needs):
        if stage.done is None or not is_complete(read_history(stage.folder), config):
            stage.reopen()
            Evolution(run, stage, name, config).run()


def is_complete(history: Sequence[Generation], config: ControllerConfig) -> bool:
    """Whether evolution is over: all generations are done, or validation has found nothing better for too long."""
    patience = config.validation_patience
    return len(history) >= config.generations or (patience is not None and stale_validations(history) >= patience)


class Evolution:
    """A controller's evolution, from wherever its stage's folder has brought it."""

    def __init__(self, run: Run, stage: Stage, name: str, config: ControllerConfig) -> None:
        self.run_seed, self.stage, self.name, self.config = run.config.seed, stage, name, config
        self.agent = blank_agent(run, config)
        guards = training_guards(run, config, self.agent.starts)
        self.worlds = Worlds(self.agent, run.config.compute, config.temperature, start=config.start, guards=guards)
        seed = torch_seed(self.run_seed, "evolution")
        self.rollouts = Schedule("rollouts_schedule", config.rollouts, config.rollouts_schedule)
        self.sigmas = Schedule("sigma_schedule", config.sigma0, config.sigma_schedule)
        make = OPTIMIZERS[config.optimizer]
        first = first_mean(run, name, self.agent)
        self.optimizer = make(self.agent.form.parameters, config.population, config.sigma0, seed, first)
        self.means: deque[NDArray[np.float32]] = deque(maxlen=config.average)
        self.best = -np.inf

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
                    with Fitness(self.worlds) as fitness:
                        while not is_complete(history.generations, self.config):
                            history.append(self._generation(fitness, log, bar))
                self._say_if_stopped(history.generations, bar)
            validated = [entry for entry in history.generations if entry.validation]
            if not validated:
                raise UserError(
                    f"None of the {len(history.generations)} generations in {self.stage.folder} was validated: "
                    "ask for more generations."
                )
            best = max(validated, key=lambda entry: entry.score)
            summary = {
                "generations": len(history.generations),
                "best_generation": best.generation,
                "stale_validations": stale_validations(history.generations),
                "validation": best.score,
                "steps": sum(entry.steps for entry in history.generations),
            }
        self.stage.finish(summary, artefacts=[CONTROLLER])

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
            self._check_rollouts(entry)
            self._tell(fitness)
            self.best = max(self.best, entry.score)

    def _check_rollouts(self, entry: Generation) -> None:
        """Raise UserError if a recorded generation played more or less than the options now say."""
        asked = self.rollouts.at(entry.generation)
        if entry.rollouts not in (None, asked):
            raise UserError(
                f"Generation {entry.generation} in {self.stage.folder} played {entry.rollouts} episodes a candidate, "
                f"and rollouts_schedule now says {asked}: change it for generations from "
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

    def _generation(self, fitness: Fitness, log: MetricsLog, bar: Bar) -> Generation:
        config, number, begin = self.config, self.optimizer.generation, time.perf_counter()
        left = (config.generations - number) * (config.population + config.validation_episodes) * NUMBER_BYTES
        require_space(self.stage.folder, left, f"C ({self.name})", self.worlds.compute)
        candidates, rollouts = self._ask(), self.rollouts.at(number)
        seeds = np.array(training_seeds(self.run_seed, "evolution/seeds", number, rollouts))
        outcomes = fitness.evaluate(candidates, seeds, config.world, Cuts(config.patience, config.max_steps))
        returns = outcomes.returns.mean(1)
        self._tell(returns)
        validation, averaged = self._validate(fitness)
        entry = Generation(
            generation=number,
            fitness=returns.tolist(),
            samples=checksum(candidates),
            steps=int(outcomes.lengths.sum()),
            validation=validation,
            averaged=averaged,
            rollouts=rollouts,
            sigma=self.optimizer.sigma,
            seconds=time.perf_counter() - begin,
        )
        self._report(entry, log, bar)
        return entry

    def _validate(self, fitness: Fitness) -> tuple[list[float] | None, list[float] | None]:
        """Returns on the real game of the mean and, if asked for, of the average of the last means; the best is kept.

        Every few generations and after the last; both play the same episodes.
        """
        config, finished = self.config, self.optimizer.generation
        if finished % config.validate_every and finished != config.generations:
            return None, None
        seeds = np.array(validation_seeds(config.validation_episodes))
        proposed = [self.optimizer.mean]
        if config.average > 1:
            proposed.append(np.mean(self.means, axis=0))
        returns = fitness.evaluate(np.stack(proposed), seeds, "real").returns
        scores = returns.mean(1)
        if scores.max() > self.best:
            self.best = float(scores.max())
            parameters = torch.from_numpy(proposed[int(scores.argmax())])
            averaged = {"averaged": len(self.means)} if scores.argmax() else {}
            save_tensors(self.stage.folder / CONTROLLER, {"parameters": parameters}, generation=finished, **averaged)
        validation, *averages = returns.tolist()
        return validation, averages[0] if averages else None

    def _say_if_stopped(self, history: Sequence[Generation], bar: Bar) -> None:
        if len(history) < self.config.generations:
            bar.say(
                f"C {self.name}: stopped after {len(history)} generations, the last {stale_validations(history)} "
                "validations without a new best; a larger validation_patience goes on."
            )

    def _report(self, entry: Generation, log: MetricsLog, bar: Bar) -> None:
        returns = np.array(entry.fitness)
        values = {"mean": returns.mean(), "best": returns.max(), "worst": returns.min(), "sigma": entry.sigma}
        rate = entry.steps / entry.seconds
        log.write(entry.generation + 1, **values, steps=entry.steps, steps_per_second=rate)
        if np.ptp(returns) == 0:
            bar.say(
                f"C {self.name}: all {len(returns)} candidates of generation {entry.generation} did "
                "equally well, so nothing was learned from it, likely because none of them came to any "
                "reward: give episodes more steps, more patience, or a larger sigma0."
            )
        if entry.validation:
            score, spread = float(np.mean(entry.validation)), float(np.std(entry.validation))
            log.write(entry.generation + 1, validation=score, validation_std=spread)
            bar.say(
                f"C {self.name}, {entry.generation + 1} generations: validation {score:.1f} +- {spread:.1f} "
                f"({len(entry.validation)} real episodes), population mean {returns.mean():.1f}"
            )
        if entry.averaged:
            score = float(np.mean(entry.averaged))
            log.write(entry.generation + 1, validation_averaged=score)
            bar.say(f"C {self.name}: the average of the last {len(self.means)} means {score:.1f}")
        bar.advance(1, f"mean {returns.mean():.1f} best {returns.max():.1f}, {rate:,.0f} steps/s")
