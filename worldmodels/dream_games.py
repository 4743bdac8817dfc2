"""Dreams by name: what `gymnasium.make` and `gymnasium.make_vec` call for the ids `WorldModels/Dream...`."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from gymnasium.vector import AutoresetMode

from worldmodels.agent import Agent, blank_agent, load_agent
from worldmodels.config import ControllerConfig, Count, DreamStart, NonNegative
from worldmodels.dream import DreamEnv, DreamEnvs, Interface
from worldmodels.dream.interface import Observation
from worldmodels.errors import UserError
from worldmodels.options import load_config, typed
from worldmodels.runs import Run, stored_options

CHECKPOINTS = Path(__file__).resolve().parents[1] / "checkpoints"
"""Folder of the trained agents that come with the project, one folder a task."""


@dataclass(frozen=True)
class DreamGame:
    """Whose dream it is, and which."""

    checkpoint: Path | None = None
    """Folder of a trained agent."""
    run: Path | None = None
    """Folder of a run whose M is trained, in place of a checkpoint."""
    name: str | None = None
    """The run's controller whose inputs are observed; the first one of the dream's if not given."""
    game: str | None = None
    """The agent of that name in `checkpoints/`, if neither a checkpoint nor a run is given."""
    observation: Observation = "features"
    """`features`, float32 (F,): what C sees; `frames`, uint8 (64, 64, 3): what V decodes."""
    temperature: NonNegative | None = None
    """Temperature of the dream; the one that C was evolved at if not given."""
    start: DreamStart = "first"
    """Begin at real first frames, or at any real moment with what M remembers there."""
    max_steps: Count | None = None
    """Step limit; the game's own if not given."""
    render_mode: Literal["rgb_array"] | None = None
    """Whether `render()` gives pictures."""


def make_dream(**options: Any) -> DreamEnv:
    """One dream. The options are those of `DreamGame`; UserError for wrong ones, and for an agent that cannot dream."""
    game = typed(DreamGame, options, "The dream")
    agent, interface = _interface(game, count=1)
    return DreamEnv(interface, game.render_mode, agent.task.fps)


def make_dreams(
    num_envs: int = 1, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP, **options: Any
) -> DreamEnvs:
    """`num_envs` dreams side by side, with the same options."""
    game = typed(DreamGame, options, "The dreams")
    agent, interface = _interface(game, num_envs)
    return DreamEnvs(interface, autoreset_mode, game.render_mode, agent.task.fps)


def _interface(game: DreamGame, count: int) -> tuple[Agent, Interface]:
    agent = dreamer(game)
    temperature = agent.config.temperature if game.temperature is None else game.temperature
    dreams = agent.dream_world(count, temperature, game.max_steps, game.start)
    return agent, Interface(dreams, agent.squash, agent.vision, game.observation)


def dreamer(game: DreamGame) -> Agent:
    """The agent whose M dreams; UserError if there is none, or if none or two are named."""
    if game.run is not None:
        if game.checkpoint is not None:
            raise UserError("Name the agent that dreams by its checkpoint or by its run, not by both.")
        return _of_run(game.run, game.name, _stamp(game.run, "config.yaml", "*/done.json"))
    if game.name is not None:
        raise UserError(f"name={game.name} is one of a run's controllers: name the run too, with run=FOLDER.")
    if game.checkpoint is not None:
        return _of_checkpoint(game.checkpoint, _stamp(game.checkpoint, "*"))
    if game.game is None:
        raise UserError("Name the agent that dreams, with checkpoint=FOLDER or run=FOLDER.")
    folder = CHECKPOINTS / game.game
    if not folder.is_dir():
        raise UserError(f"There is no trained agent {folder} yet: name another, with checkpoint=FOLDER or run=FOLDER.")
    return _of_checkpoint(folder, _stamp(folder, "*"))


def _stamp(folder: Path, *patterns: str) -> tuple[int, ...]:
    """Times of the files that an agent is read from, so that another agent under the same name is read anew."""
    return tuple(path.stat().st_mtime_ns for pattern in patterns for path in sorted(folder.glob(pattern)))


@lru_cache(maxsize=4)
def _of_checkpoint(folder: Path, stamp: tuple[int, ...]) -> Agent:
    """A checkpoint's agent, read once for all the environments of a process."""
    return load_agent(folder)


@lru_cache(maxsize=4)
def _of_run(folder: Path, name: str | None, stamp: tuple[int, ...]) -> Agent:
    """The agent of a run, whose C need not be trained."""
    stored = stored_options(folder)
    if not stored:
        raise UserError(f"There is no run {folder}: give the folder that holds its config.yaml.")
    run = Run(folder, load_config([], stored))
    known = run.config.controllers
    if name is None:
        dreams = [config for config in known.values() if config.world == "dream"]
        return blank_agent(run, dreams[0] if dreams else ControllerConfig())
    if name not in known:
        raise UserError(f"There is no controller {name} in the options of {folder}: it has {', '.join(known)}.")
    return blank_agent(run, known[name])
