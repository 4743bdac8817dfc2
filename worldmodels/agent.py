"""An agent: V, M and C with all that is needed to act, in one object and in one folder."""

import copy
import dataclasses
import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.config import ComputeConfig, ControllerConfig, DreamStart, MemoryConfig, TaskConfig, VisionConfig
from worldmodels.controller.form import ControllerForm
from worldmodels.data.rollouts import squash_of
from worldmodels.dream import DreamRollouts, DreamVectorEnv, Guards
from worldmodels.envs.actions import Squash
from worldmodels.envs.perturbations import Perturbation, make_perturbed_game
from worldmodels.errors import UserError
from worldmodels.files import read_json, write_json
from worldmodels.kept import CONTROLLER, MEMORY, OPTIONS, STARTS, VISION
from worldmodels.memory.mdn_rnn import MDNRNN, load_memory, save_memory
from worldmodels.memory.starts import Starts, load_starts, save_starts
from worldmodels.memory.train import trained_memory
from worldmodels.options import departures, identity, load_config, to_dict, typed
from worldmodels.play import CandidatePolicy
from worldmodels.real_world import RealWorld
from worldmodels.records import SCHEMA, check_schema, first_difference
from worldmodels.runs import Run, stored_options
from worldmodels.runtime import pick_precision
from worldmodels.seeds import torch_seed
from worldmodels.tensors import load_tensors, save_tensors
from worldmodels.vision.base import VisionModel, load_vision, save_vision
from worldmodels.vision.train import trained_vision
from worldmodels.world_model import WorldModel


@dataclass(frozen=True)
class Agent:
    """V, M and C of one task.

    Attributes:
        task: the game's facts.
        squash: how C's outputs become actions.
        vision, memory: V and M, on the CPU, in evaluation mode.
        starts: where M's dreams begin.
        config: C's options.
        parameters: C's parameters, float32 (P,).
    """

    task: TaskConfig
    squash: Squash
    vision: VisionModel
    memory: MDNRNN
    starts: Starts
    config: ControllerConfig
    parameters: NDArray[np.float32]

    @property
    def form(self) -> ControllerForm:
        """C's form."""
        hidden = self.memory.config.hidden
        return ControllerForm.build(self.config, self.vision.latent_dim, hidden, self.squash.dim)

    def world_model(self, lanes: int, compute: ComputeConfig) -> WorldModel:
        """V and M, ready to follow `lanes` games."""
        sample = self.config.latent == "sample"
        precision = pick_precision(compute, torch.device("cpu"))
        return WorldModel(self.vision, self.memory, lanes, self.config.inputs, sample, precision)

    def real_world(
        self,
        lanes: int,
        compute: ComputeConfig,
        score: bool = False,
        blind: bool = False,
        perturbation: Perturbation | None = None,
    ) -> RealWorld:
        """The game through the agent's eyes.

        `score` asks for the game in which scores are reported, `blind` leaves V and M out (observations are empty),
        `perturbation` comes between the game and the agent.
        """
        make = partial(make_perturbed_game, self.task, score, perturbation)
        return RealWorld(make, lanes, None if blind else self.world_model(lanes, compute), self.task.success_key)

    def dream_world(
        self,
        lanes: int,
        temperature: float,
        max_steps: int | None = None,
        start: DreamStart = "first",
        precision: torch.dtype = torch.float32,
        guards: Guards = Guards(),  # noqa: B008  # immutable
    ) -> DreamVectorEnv:
        """M's dream of the game; UserError if M lacks the heads that make it a game.

        A dream that starts at "any" real moment lasts for as many steps as one that starts at a "first" frame.
        """
        starts, guards = self._dreamt_from(start, guards)
        limit, inputs = max_steps or self.task.max_steps, self.config.inputs
        return DreamVectorEnv(self.memory, starts, self.squash, lanes, inputs, temperature, limit, precision, guards)

    def dream_rollouts(
        self,
        lanes: int,
        temperature: float,
        device: torch.device,
        start: DreamStart = "first",
        precision: torch.dtype = torch.float32,
        guards: Guards = Guards(),  # noqa: B008  # immutable
    ) -> DreamRollouts:
        """The same dream for whole populations on a device."""
        starts, guards = self._dreamt_from(start, guards)
        how = self.config.inputs, temperature, self.task.max_steps, lanes, device, precision, guards
        return DreamRollouts(self.memory, starts, self.squash, self.form, *how)

    def require_dreams(self) -> None:
        """Raise UserError unless M dreams games in which something can be won."""
        if not len(self.starts.mu):
            raise UserError("An untrained M has no dreams: evolve C in the real game, or with memory: trained.")
        if not (self.memory.config.reward_head or self.memory.config.done_head):
            raise UserError(
                "This M predicts neither rewards nor ends, so nothing can be won in its dream: "
                "train it with memory.reward_head or memory.done_head."
            )

    def _dreamt_from(self, start: DreamStart, guards: Guards) -> tuple[Starts, Guards]:
        self.require_dreams()
        return (self.starts, guards) if start == "any" else (self.starts.only_first(), guards.only_first())

    def policy(
        self, lanes: int, items: int, candidates: NDArray | None = None, players: NDArray[np.int64] | None = None
    ) -> CandidatePolicy:
        """The agent's C in charge of all items, or candidates (N, P) in its place, `players[i]` of item i."""
        chosen = self.parameters[None] if candidates is None else candidates
        return CandidatePolicy(
            self.form, self.squash, chosen, np.zeros(items, np.int64) if players is None else players, lanes
        )

    def digest(self) -> str:
        """A name for what the agent is: its weights, and the options that say how it acts, not how it was evolved."""
        config = self.config
        acts = config.inputs, config.bias, config.latent, *([config.hidden] if config.hidden else [])
        options = *(departures(part) for part in (self.task, self.vision.config, self.memory.config)), self.squash, acts
        named = hashlib.sha256(repr(options).encode())
        for weights in (self.vision.state_dict(), self.memory.state_dict(), self.starts._asdict()):
            for tensor in weights.values():
                named.update(tensor.contiguous().numpy().tobytes())
        named.update(self.parameters.tobytes())
        return named.hexdigest()[:16]

    def save(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the agent as a checkpoint: safetensors, with V, M and the starts in `dtype`, and `config.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_vision(folder / VISION, copy.deepcopy(self.vision).to(dtype))
        save_memory(folder / MEMORY, copy.deepcopy(self.memory).to(dtype))
        kept = (tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in self.starts)
        save_starts(folder / STARTS, Starts(*kept))
        save_tensors(folder / CONTROLLER, {"parameters": torch.from_numpy(self.parameters)})
        config = {
            "schema": SCHEMA,
            "task": to_dict(self.task),
            "squash": dataclasses.asdict(self.squash),
            "vision": to_dict(self.vision.config),
            "memory": to_dict(self.memory.config),
            "controller": to_dict(self.config),
        }
        write_json(folder / OPTIONS, config)


def _read_sections(folder: Path) -> dict[str, Any]:
    """The typed sections of a checkpoint's `config.json`."""
    path = folder / OPTIONS
    if not folder.is_dir():
        raise UserError(f"There is no checkpoint {folder}: give the folder that holds its config.json.")
    config = read_json(path)
    check_schema(config.get("schema"), path)
    kinds: dict[str, Any] = {
        "task": TaskConfig,
        "squash": Squash,
        "vision": VisionConfig,
        "memory": MemoryConfig,
        "controller": ControllerConfig,
    }
    for name in kinds:
        if not isinstance(config.get(name), dict):
            raise UserError(f"{path} is damaged: it lacks the section {name}.")
    return {name: typed(kind, config[name], f"{path}: {name}") for name, kind in kinds.items()}


def read_task(folder: str | Path) -> TaskConfig:
    """The task of the agent in a checkpoint folder."""
    return _read_sections(Path(folder))["task"]


def load_agent(folder: str | Path) -> Agent:
    """The agent in a checkpoint folder; UserError if a file is missing, damaged, or does not fit the others."""
    folder = Path(folder)
    sections = _read_sections(folder)
    agent = Agent(
        task=sections["task"],
        squash=sections["squash"],
        vision=load_vision(folder / VISION, sections["vision"]),
        memory=load_memory(folder / MEMORY, sections["memory"]),
        starts=load_starts(folder / STARTS),
        config=sections["controller"],
        parameters=load_parameters(folder / CONTROLLER),
    )
    _check_sizes(agent, folder)
    return agent


def load_agent_as(folder: Path, task: TaskConfig) -> Agent:
    """The agent in a checkpoint folder, its game shown and scored as `task` says; UserError if that is another game."""
    agent = load_agent(folder)
    if difference := first_difference(identity(agent.task), identity(task)):
        key, own, asked = difference
        raise UserError(
            f"The agent in {folder} plays with task.{key} = {own}, and {asked} is asked for: it knows no other game."
        )
    return dataclasses.replace(agent, task=task)


def _check_sizes(agent: Agent, folder: Path) -> None:
    sizes = {
        "V and M disagree on the size of z": (agent.vision.latent_dim, agent.memory.latent_dim),
        "V and M disagree on the values that z takes": (agent.vision.levels or 0, agent.memory.levels or 0),
        "M and its dreams' starts disagree on the size of z": (agent.memory.latent_dim, agent.starts.mu.shape[1]),
        "M and its dreams' starts disagree on the size of h": (agent.memory.config.hidden, agent.starts.h.shape[1]),
        "M and the game disagree on the size of an action": (agent.memory.action_dim, agent.squash.dim),
        "C has another number of parameters than its options say": (len(agent.parameters), agent.form.parameters),
    }
    for complaint, (one, other) in sizes.items():
        if one != other:
            raise UserError(f"{folder} does not fit together: {complaint} ({one} and {other}).")


def load_parameters(path: Path) -> NDArray[np.float32]:
    """C's parameters (P,) from a file; UserError if it is damaged."""
    tensors, _ = load_tensors(path)
    parameters = tensors.get("parameters")
    if parameters is None or parameters.ndim != 1 or not torch.isfinite(parameters.float()).all():
        raise UserError(f"{path} does not hold the parameters of a controller.")
    return parameters.float().numpy()


def blank_agent(run: Run, config: ControllerConfig, seed: int | None = None) -> Agent:
    """The agent of a run's V and M with a C of zeros, as evolution starts from.

    `seed`, by default the run's, is that of an untrained M. Raises UserError if V, M and the run's game do not belong
    together.
    """
    vision = trained_vision(run)
    memory, starts = trained_memory(run)
    run.memory.check_options({"task": identity(run.config.task)})
    if config.memory == "untrained":
        torch.manual_seed(torch_seed(run.config.seed if seed is None else seed, "memory/untrained"))
        memory = MDNRNN(memory.config, memory.latent_dim, memory.action_dim, memory.levels).eval()
        starts = Starts(*(tensor[:0] for tensor in starts))
    squash = squash_of(run.rollouts)
    blank = Agent(run.config.task, squash, vision, memory, starts, config, np.zeros(0, np.float32))
    return dataclasses.replace(blank, parameters=np.zeros(blank.form.parameters, np.float32))


def agent_of_run(run: Run, name: str) -> Agent:
    """The agent with a run's controller of that name; UserError if it is not finished, or is of another V or M."""
    stage = run.controller(name)
    stage.summary()
    run.check_lineage(stage)
    blank = blank_agent(run, stage.section(ControllerConfig, "controller"), stage.options()["seed"])
    return dataclasses.replace(blank, parameters=load_parameters(stage.folder / CONTROLLER))


def agent_at(folder: Path) -> Agent:
    """The agent in a folder: a checkpoint, or a controller of a run (`runs/mine/controllers/real`)."""
    if folder.parent.name != "controllers":
        return load_agent(folder)
    root = folder.parents[1]
    return agent_of_run(Run(root, load_config([], stored_options(root))), folder.name)
