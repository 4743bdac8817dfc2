"""Stage 4: evolve C."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from worldmodels.agent import CONTROLLER, blank_agent
from worldmodels.config import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.cmaes import CMAES
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.guards import asks_for_ensemble, other_members, training_guards
from worldmodels.evolution.history import Generation, History, checksum, read_history, stale_validations
from worldmodels.metrics import Bar, MetricsLog, progress_bar
from worldmodels.options import identity
from worldmodels.play import Cuts
from worldmodels.runs import Run, Stage
from worldmodels.seeds import torch_seed, training_seeds, validation_seeds
from worldmodels.tensors import save_tensors


def train_controller(run: Run, name: str) -> None:
    """Evolve the run's controller `name` and keep the distribution's mean that did best on the validation seeds.

    Writes `controller.safetensors`, `history.jsonl` and the metrics; can be killed and called again at any time, and
    with more generations or more patience once it is finished.

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
    if asks_for_ensemble(config):
        needs += other_members(run)
        options["members"] = run.config.memory.members
    with stage.begin(options, needs):
        if stage.done is None or not is_complete(read_history(stage.folder), config):
            stage.reopen()
            _Evolution(run, stage, name, config).run()


def is_complete(history: Sequence[Generation], config: ControllerConfig) -> bool:
    """Whether evolution is over: all generations are done, or validation has found nothing better for too long."""
    patience = config.validation_patience
    return len(history) >= config.generations or (patience is not None and stale_validations(history) >= patience)


class _Evolution:
    def __init__(self, run: Run, stage: Stage, name: str, config: ControllerConfig) -> None:
        self.run_seed, self.stage, self.name, self.config = run.config.seed, stage, name, config
        self.agent = blank_agent(run, config)
        guards = training_guards(run, config, self.agent.starts)
        self.worlds = Worlds(self.agent, run.config.compute, config.temperature, start=config.start, guards=guards)
        seed = torch_seed(self.run_seed, "evolution")
        self.cmaes = CMAES(self.agent.form.parameters, config.population, config.sigma0, seed)
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
            best = max(validated, key=lambda entry: np.mean(entry.validation or -np.inf))
            summary = {
                "generations": len(history.generations),
                "best_generation": best.generation,
                "stale_validations": stale_validations(history.generations),
                "validation": float(np.mean(best.validation or np.nan)),
                "steps": sum(entry.steps for entry in history.generations),
            }
        self.stage.finish(summary, artefacts=[CONTROLLER])

    def _replay(self, generations: list[Generation]) -> None:
        """Bring CMA-ES to where the recorded generations had brought it."""
        for entry in generations:
            if checksum(self.cmaes.ask()) != entry.samples:
                raise UserError(
                    f"Evolution in {self.stage.folder} cannot go on here: generation {entry.generation} "
                    "comes out otherwise than on the machine where it began. Go on there, or "
                    "delete the folder to evolve again."
                )
            fitness = np.array(entry.fitness)
            if fitness.shape != (self.config.population,) or not np.isfinite(fitness).all():
                raise UserError(
                    f"Generation {entry.generation} in {self.stage.folder} is damaged: "
                    "delete the folder to evolve again."
                )
            self.cmaes.tell(fitness)
            if entry.validation:
                self.best = max(self.best, float(np.mean(entry.validation)))

    def _generation(self, fitness: Fitness, log: MetricsLog, bar: Bar) -> Generation:
        config, number, begin = self.config, self.cmaes.generation, time.perf_counter()
        candidates = self.cmaes.ask()
        seeds = np.array(training_seeds(self.run_seed, "evolution/seeds", number, config.rollouts))
        outcomes = fitness.evaluate(candidates, seeds, config.world, Cuts(config.patience, config.max_steps))
        returns = outcomes.returns.mean(1)
        self.cmaes.tell(returns)
        entry = Generation(
            generation=number,
            fitness=returns.tolist(),
            samples=checksum(candidates),
            steps=int(outcomes.lengths.sum()),
            validation=self._validate(fitness),
            sigma=self.cmaes.sigma,
            seconds=time.perf_counter() - begin,
        )
        self._report(entry, log, bar)
        return entry

    def _validate(self, fitness: Fitness) -> list[float] | None:
        """The mean's returns on the real game, every few generations and after the last; the best mean is kept."""
        config, finished = self.config, self.cmaes.generation
        if finished % config.validate_every and finished != config.generations:
            return None
        seeds = np.array(validation_seeds(config.validation_episodes))
        returns = fitness.evaluate(self.cmaes.mean[None], seeds, "real").returns[0]
        if returns.mean() > self.best:
            self.best = float(returns.mean())
            parameters = torch.from_numpy(self.cmaes.mean)
            save_tensors(self.stage.folder / CONTROLLER, {"parameters": parameters}, generation=finished)
        return returns.tolist()

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
                "equally well, so nothing was learned from it: give episodes more steps, "
                "more patience, or a larger sigma0."
            )
        if entry.validation:
            score, spread = float(np.mean(entry.validation)), float(np.std(entry.validation))
            log.write(entry.generation + 1, validation=score, validation_std=spread)
            bar.say(
                f"C {self.name}, {entry.generation + 1} generations: validation {score:.1f} +- {spread:.1f} "
                f"({len(entry.validation)} real episodes), population mean {returns.mean():.1f}"
            )
        bar.advance(1, f"mean {returns.mean():.1f} best {returns.max():.1f}, {rate:,.0f} steps/s")
