"""The end of stage 3: is M's dream like the game?"""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from worldmodels.agent import Agent, agent_of_run, blank_agent
from worldmodels.calibration.comparison import compared, complaints
from worldmodels.calibration.heads import head_errors
from worldmodels.calibration.lifetimes import side_by_side
from worldmodels.calibration.plays import PlayTrial, Trial, key_of, play_trials
from worldmodels.calibration.policies import scripted_policies
from worldmodels.calibration.prediction import prediction_errors
from worldmodels.calibration.replays import replayed_ends
from worldmodels.calibration.report import Calibration, sheets
from worldmodels.calibration.sheets import markdown, print_sheets
from worldmodels.config import ControllerConfig
from worldmodels.data.latents import Latents, latents_of
from worldmodels.data.rollouts import HELD_OUT, rollouts_of, spread
from worldmodels.errors import UserError
from worldmodels.files import read_json, write_json, write_text
from worldmodels.memory.train import train_memory
from worldmodels.metrics import say
from worldmodels.play import Outcomes
from worldmodels.played import Played
from worldmodels.runs import Run
from worldmodels.runtime import settled
from worldmodels.seeds import UNSEEN
from worldmodels.vision.train import split_of

TABLE = "table.json"


def train_checked_memory(run: Run) -> None:
    """Encode the rollouts with V, train M on the latent sequences, and compare its dream with the game.

    The comparison is made once for an M, unless `calibrate.episodes` is 0. M is not lost if the game cannot be played.
    """
    train_memory(run)
    if run.config.calibrate.episodes and not _is_checked(run):
        try:
            check_dream(run)
        except UserError as error:
            say(f"M is trained, but its dream was not compared with the game: {error}")


def _is_checked(run: Run) -> bool:
    path = run.calibration.folder / TABLE
    return path.exists() and read_json(path).get("memory") == run.memory.fingerprint()


def check_dream(run: Run) -> None:
    """Compare M's dream with the game: scripted policies and agents in both, M's predictions, its heads.

    Prints the tables and writes them as `calibration/table.json` and `table.md`. What was played once is not played
    again: scripted policies' games are kept for every later M.

    Raises:
        UserError: M is not trained, or of another game or seed than the options say; or the game cannot be played.
    """
    stage = run.calibration
    run.memory.summary()
    run.memory.check_options(run.made_from())
    if run.config.calibrate.episodes == 0:
        raise UserError("calibrate.episodes is 0: give the number of episodes that each policy is to play.")
    with stage.begin({}):
        found = _calibration(run)
        tables = sheets(found)
        write_text(stage.folder / "table.md", markdown(tables))
        write_json(stage.folder / TABLE, dataclasses.asdict(found))  # last: it says that the dream is checked
    print_sheets(tables)
    for line in _verdict(found):
        say(line)


def _calibration(run: Run) -> Calibration:
    options, dreamer = run.config.calibrate, blank_agent(run, ControllerConfig(inputs="z"))
    latents, rollouts = latents_of(run), rollouts_of(run)
    held_out = _held_out(run, latents)
    ends, rewards = head_errors(dreamer.memory, latents, held_out, run.config.seed)
    errors = prediction_errors(dreamer.vision, dreamer.memory, latents, rollouts, held_out, run.config.seed)
    # M knows nothing of later steps than the longest episode's last
    limits = (options.max_steps, dreamer.task.max_steps, int(latents.lengths.max()))
    limit = min(limit for limit in limits if limit is not None)
    game, dreams = _played(run, dreamer, limit) if ends is not None or rewards is not None else ({}, {})
    entries, judged = compared(game, dreams), _judged(options.temperatures)
    return Calibration(
        memory=run.memory.fingerprint(),
        episodes=options.episodes,
        max_steps=limit,
        entries=entries,
        errors=errors,
        ends=ends,
        rewards=rewards,
        complaints=complaints(entries, judged, rewards is not None) if entries else [],
        replays=replayed_ends(dreamer.memory, latents, held_out, run.config.seed) if ends is not None else [],
        lifetimes=side_by_side(game, dreams[judged], judged, limit) if ends is not None else [],
    )


def _held_out(run: Run, latents: Latents) -> np.ndarray:
    """Episodes that neither V nor M has learned from."""
    return spread(split_of(run, len(latents))[1], HELD_OUT)


def _judged(temperatures: tuple[float, ...]) -> float:
    """The temperature at which the dream should be like the game."""
    return min(temperatures, key=lambda temperature: abs(temperature - 1))


def _played(run: Run, dreamer: Agent, limit: int) -> tuple[dict[str, Outcomes], dict[float, dict[str, Outcomes]]]:
    """How every player's episodes went in the game, and in the dreams by temperature."""
    config, agents = run.config, dict(_agents(run))
    makers = {name: run.controller(name).fingerprint() for name in agents}
    played = Played(run.calibration.folder / "played")
    trials = {}
    for trial in _trials(run, dreamer, agents, limit):
        maker = makers[trial.players[0]] if trial.agent else run.memory.fingerprint()
        trials[trial] = key_of(trial, config.task, maker)
    compute = settled(config.compute)
    outcomes = play_trials(trials, played, partial(PlayTrial, dreamer, agents, compute), compute)
    game: dict[str, Outcomes] = {}
    dreams: dict[float, dict[str, Outcomes]] = {temperature: {} for temperature in config.calibrate.temperatures}
    for trial in trials:
        world = game if trial.temperature is None else dreams[trial.temperature]
        world |= _by_player(trial, outcomes[trial])
    return game, dreams


def _agents(run: Run) -> Iterator[tuple[str, Agent]]:
    """The run's agents whose C is finished and was evolved with the M that there is now."""
    memory = run.memory.fingerprint()
    for name in run.config.controllers:
        stage = run.controller(name)
        # beside M, an ensemble's other Ms are upstream of the C that they taught
        if stage.done and stage.upstream.get("memory") == memory:
            yield name, agent_of_run(run, name)


def _trials(run: Run, dreamer: Agent, agents: Mapping[str, Agent], limit: int) -> Iterator[Trial]:
    """Every player in every world that it has: an agent whose M is untrained has no dreams.

    All policies dream together; their games are a piece of work each.
    """
    policies = tuple(scripted_policies(dreamer.task, dreamer.squash))
    seeds = tuple(UNSEEN[: run.config.calibrate.episodes])
    for name in policies:
        yield Trial((name,), False, None, seeds, limit)
    for name in agents:
        yield Trial((name,), True, None, seeds, limit)
    for temperature in run.config.calibrate.temperatures:
        yield Trial(policies, False, temperature, seeds, limit)
        for name in (name for name, agent in agents.items() if len(agent.starts.mu)):
            yield Trial((name,), True, temperature, seeds, limit)


def _by_player(trial: Trial, outcomes: Outcomes) -> dict[str, Outcomes]:
    """A trial's outcomes, those of each player apart."""
    parts = zip(*(np.split(column, len(trial.players)) for column in outcomes), strict=True)
    names = [f"C ({name})" if trial.agent else name for name in trial.players]
    return {name: Outcomes(*part) for name, part in zip(names, parts, strict=True)}


def _verdict(found: Calibration) -> Iterator[str]:
    """What to make of it, in sentences."""
    yield from found.complaints
    if not found.entries:
        yield "M predicts neither rewards nor ends: its dream is no game that could be compared."
    elif found.complaints:
        yield (
            "C finds such holes when it learns in the dream. Collect rollouts in which the same is done "
            "(collect.policy, collect.hold), or train M longer."
        )
    else:
        yield (
            "The dream is calibrated: every player lasts as long as in the game within 30 %, and earns as much within "
            "30 % of the larger one of its own and the usual return."
        )
