"""Stage 5: scores on the test seeds, in the game and in the dream, with honest spreads."""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from worldmodels.agent import Agent, agent_of_run, load_agent_as
from worldmodels.disk import require_space
from worldmodels.envs.perturbations import Perturbation, make_perturbed_game
from worldmodels.errors import UserError
from worldmodels.evolution.fitness import Fitness, WorldName, Worlds
from worldmodels.files import read_json, write_json, write_text
from worldmodels.metrics import progress_bar
from worldmodels.options import identity
from worldmodels.play import Outcomes
from worldmodels.played import Played
from worldmodels.returns import statistics
from worldmodels.runs import Run
from worldmodels.seeds import test_seeds

RANDOM = "random policy"
SCORES = "scores.json"
EPISODE_BYTES = 200
"""What is written down about an episode."""


@dataclass(frozen=True)
class Row:
    """An agent's score in one world.

    Attributes:
        agent, world, game: who, where ("real", "disturbed" or "dream"), and in which game.
        temperature: of the dream; None in the game.
        episodes: number of test episodes.
        mean, std, sem: of the returns; the standard deviation is the sample's.
        interval: 95 % bootstrap interval of the mean.
        iqm: mean of the middle half of the returns.
        success_rate: share of episodes that were a success, where the game says so.
        length: mean steps of an episode.
        perturbation: what came between a disturbed game and the agent; else empty.
        digest: names the agent as it was scored; empty for the random policy, and in files of older versions.
    """

    agent: str
    world: str
    game: str
    temperature: float | None
    episodes: int
    mean: float
    std: float
    sem: float
    interval: tuple[float, float]
    iqm: float
    success_rate: float | None
    length: float
    perturbation: str = ""
    digest: str = ""

    @property
    def place(self) -> str:
        """The game, and what came between it and the agent."""
        return f"{self.game}, {self.perturbation}" if self.perturbation else self.game


@dataclass(frozen=True)
class _Entry:
    """A row to be made."""

    name: str
    agent: Agent
    world: WorldName
    temperature: float
    perturbation: Perturbation | None = None


def evaluate(run: Run, checkpoint: Path | None = None) -> None:
    """Score every finished controller of a run, or the agent of a checkpoint, on the test seeds, and print the table.

    Writes `evaluation/scores.json` and `evaluation/episodes.csv`. Rows that were scored before are not scored again.

    Raises:
        UserError: the run has no finished controller, a perturbation is unknown or not to be had with its game, or a
            checkpoint is to be scored in a run that has agents of its own.
    """
    if checkpoint is not None and (run.rollouts.started or run.vision.started):
        raise UserError(
            f"{run.folder} has scores of its own agents: leave out --run, or name a new folder, to score a checkpoint."
        )
    entries = list(_entries(run, checkpoint))
    if not entries and (checkpoint or any(run.controller(name).done for name in run.config.controllers)):
        raise UserError(
            "There is nothing to score: evaluate.worlds names no world that the agent has. Real games need `real`; "
            "`dream` needs an M with a reward_head or a done_head."
        )
    if not entries:
        raise UserError(f"{run.folder} has no finished controller to evaluate: run scripts/train_controller.py first.")
    stage = run.evaluation
    with stage.begin({}):
        total = len(entries) * run.config.evaluate.episodes
        require_space(stage.folder, total * EPISODE_BYTES, "The evaluation", run.config.compute)
        with progress_bar("Evaluation", total, "episodes") as bar:
            rows, episodes = [], []
            for entry in entries:
                outcomes = _outcomes(run, entry)
                rows.append(_row(run, entry, outcomes))
                episodes += _episodes(rows[-1], outcomes)
                bar.advance(run.config.evaluate.episodes, f"{entry.name}: {rows[-1].mean:.1f}")
        write_json(stage.folder / SCORES, {"rows": [asdict(row) for row in rows]})
        _write_csv(stage.folder / "episodes.csv", episodes)
    print_table(rows)


def _entries(run: Run, checkpoint: Path | None) -> Iterator[_Entry]:
    options = run.config.evaluate
    perturbations = [Perturbation.parse(text) for text in options.perturbations]
    if checkpoint is not None:
        agents = {checkpoint.resolve().name: load_agent_as(checkpoint, run.config.task)}
    else:
        finished = [name for name in run.config.controllers if run.controller(name).done]
        agents = {name: agent_of_run(run, name) for name in finished}
    for name, agent in agents.items():
        if "real" in options.worlds:
            yield _Entry(name, agent, "real", 0.0)
            for perturbation in perturbations:
                make_perturbed_game(agent.task, options.stock, perturbation=perturbation).close()  # refuses at once
                yield _Entry(name, agent, "real", 0.0, perturbation)
        heads = agent.memory.config
        if "dream" in options.worlds and (heads.reward_head or heads.done_head) and len(agent.starts.mu):
            for temperature in options.temperatures or (agent.config.temperature,):
                yield _Entry(name, agent, "dream", temperature)
    if agents and options.random_policy:
        yield _Entry(RANDOM, next(iter(agents.values())), "blind", 0.0)


def _outcomes(run: Run, entry: _Entry) -> Outcomes:
    """Outcomes (K,) on the test seeds; read back if the very same was played before."""
    config, task = run.config, entry.agent.task
    key = [
        entry.agent.digest() if entry.world != "blind" else identity(task),
        *([] if entry.world == "dream" else [task.score_env, task.score_env_kwargs, task.success_key]),
        entry.world,
        entry.temperature,
        config.evaluate.stock,
        config.evaluate.episodes,
        *([str(entry.perturbation)] if entry.perturbation else []),
    ]
    played = Played(run.evaluation.folder / "played")
    found = played.get(key)
    if found is not None:
        return found
    stock, perturbation = config.evaluate.stock, entry.perturbation
    worlds = Worlds(entry.agent, config.compute, entry.temperature, score=stock, perturbation=perturbation)
    seeds = np.array(test_seeds(config.evaluate.episodes))
    with Fitness(worlds) as fitness:
        outcomes = fitness.evaluate(entry.agent.parameters[None], seeds, entry.world)
    outcomes = Outcomes(*(column[0] for column in outcomes))
    played.put(key, outcomes)
    return outcomes


def _row(run: Run, entry: _Entry, outcomes: Outcomes) -> Row:
    task, dream = entry.agent.task, entry.world == "dream"
    stock = run.config.evaluate.stock and task.score_env is not None
    return Row(
        agent=entry.name,
        world="dream" if dream else "disturbed" if entry.perturbation else "real",
        game="M's dream" if dream else str(task.score_env if stock else task.env),
        temperature=entry.temperature if dream else None,
        success_rate=None if dream or not task.success_key else float(outcomes.successes.mean()),
        length=float(outcomes.lengths.mean()),
        perturbation=str(entry.perturbation or ""),
        digest="" if entry.world == "blind" else entry.agent.digest(),
        **statistics(outcomes.returns),
    )


def read_scores(run: Run) -> list[Row]:
    """The rows of a run's last evaluation but those of agents that have changed since; none before it.

    Raises UserError if their file is damaged.
    """
    path = run.evaluation.folder / SCORES
    if not path.exists():
        return []
    try:
        rows = TypeAdapter(list[Row]).validate_python(read_json(path)["rows"])
    except (KeyError, ValidationError) as error:
        raise UserError(f"{path} does not hold scores: run scripts/evaluate.py again.") from error
    digests = {name: _digest(run, name) for name in {row.agent for row in rows if row.digest}}
    return [row for row in rows if not row.digest or digests[row.agent] in (None, row.digest)]


def _digest(run: Run, name: str) -> str | None:
    """The digest of a run's agent as it is now, "changed" if it is in the making; None for a checkpoint's agent."""
    if name not in run.config.controllers or not run.controller(name).started:
        return None
    try:
        return agent_of_run(run, name).digest()
    except UserError:
        return "changed"


def _episodes(row: Row, outcomes: Outcomes) -> list[dict[str, object]]:
    """A record an episode."""
    head = {name: getattr(row, name) for name in ("agent", "world", "game", "temperature", "perturbation")}
    columns = zip(test_seeds(row.episodes), *outcomes, strict=True)
    return [
        head | {"seed": seed, "return": float(score), "steps": int(steps), "success": bool(success)}
        for seed, score, steps, success in columns
    ]


def _write_csv(path: Path, records: list[dict[str, object]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    write_text(path, text.getvalue())


def print_table(rows: list[Row]) -> None:
    """Scores as a table on standard output."""
    table = Table(title=f"Scores on {rows[0].episodes} test episodes")
    for heading in ("agent", "world", "condition", "mean +- std", "95 % interval", "IQM", "success", "steps"):
        table.add_column(heading, justify="left" if heading in ("agent", "world", "condition") else "right")
    for row in rows:
        table.add_row(
            row.agent,
            row.game,
            row.perturbation if row.temperature is None else f"tau {row.temperature:g}",
            f"{row.mean:.1f} +- {row.std:.1f}",
            f"{row.interval[0]:.1f} .. {row.interval[1]:.1f}",
            f"{row.iqm:.1f}",
            "" if row.success_rate is None else f"{row.success_rate:.0%}",
            f"{row.length:.0f}",
        )
    Console(width=110 if not Console().is_terminal else None).print(table)
