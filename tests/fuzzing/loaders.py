"""Everything of the project that reads a file, each with an example that is in order and a digest of what was read."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import counting
import gymnasium as gym
import numpy as np
import torch
from minari.data_collector.episode_buffer import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from worldmodels.agent import agent_of_run, load_agent
from worldmodels.calibration.report import Calibration
from worldmodels.data.exchange.minari import MinariSet
from worldmodels.data.exchange.npz import NpzFolder
from worldmodels.data.exchange.recording import Episodes
from worldmodels.data.labels import NUMBERS, OBJECTS, Labels
from worldmodels.data.latents import FILES, Latents
from worldmodels.data.rollouts import rollouts_of
from worldmodels.evolution.history import read_history
from worldmodels.files import read_json
from worldmodels.memory.train import train_memory, trained_memory
from worldmodels.metrics import read_metrics
from worldmodels.options import load_config, to_dict, typed, write_yaml
from worldmodels.play import Outcomes
from worldmodels.played import Played
from worldmodels.playground.protocol import understood
from worldmodels.runs import Run
from worldmodels.stage import Stage
from worldmodels.tensors import optimizer_tensors, save_tensors
from worldmodels.vision.train import train_vision, trained_vision


@dataclass(frozen=True)
class Loader:
    """A way to read files.

    Attributes:
        format: of the files; see `corruption.HOSTILE`.
        prepare: writes an example into a folder, given a finished run of the counting game.
        files: its files that are damaged, each a pattern.
        load: reads the folder; returns bytes that tell what was read. UserError if something is wrong.
        sealed: whether every change of what was written is noticed.
        torn: whether a file that ends early is what a kill leaves, and what it lacks is done again.
    """

    format: str
    prepare: Callable[[Run, Path], object]
    files: tuple[str, ...]
    load: Callable[[Path], bytes]
    sealed: bool = True
    torn: bool = False


CONFIG = counting.tiny_config()


def _bytes(arrays: Iterable[Any]) -> bytes:
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def _tell(value: object) -> bytes:
    return repr(value).encode()


def _copy(*stages: str) -> Callable[[Run, Path], object]:
    def prepare(run: Run, folder: Path) -> None:
        for stage in stages:
            shutil.copytree(run.folder / stage, folder / stage)

    return prepare


def _checkpoint(run: Run, folder: Path) -> None:
    agent_of_run(run, "real").save(folder / "checkpoint")


def _unfinished_vision(run: Run, folder: Path) -> None:
    """V's training, killed just before its end."""
    _copy("rollouts", "vision")(run, folder)
    model = trained_vision(run)
    model.training_step(torch.zeros(4, 64, 64, 3, dtype=torch.uint8), 1)
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()} | dict(model.training_state())
    (folder / "vision" / "done.json").unlink()
    save_tensors(folder / "vision" / "resume.safetensors", state, step=CONFIG.vision.steps, best=1.0)


def _unfinished_memory(run: Run, folder: Path) -> None:
    """M's training, killed just before its end."""
    _copy("rollouts", "vision", "latents", "memory")(run, folder)
    model, _ = trained_memory(run)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), fused=True)
    sum(p.square().sum() for p in model.parameters() if p.requires_grad).backward()  # type: ignore[union-attr]
    optimizer.step()
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()} | optimizer_tensors(optimizer)
    zeros = torch.zeros(CONFIG.memory.batch, CONFIG.memory.hidden)
    (folder / "memory" / "done.json").unlink()
    path = folder / "memory" / "resume.safetensors"
    save_tensors(path, state | {"state.h": zeros, "state.c": zeros.clone()}, step=CONFIG.memory.steps, best=1.0)


def _trained(train: Callable[[Run], None], weights: str) -> Callable[[Path], bytes]:
    def load(folder: Path) -> bytes:
        train(Run(folder, CONFIG))
        return (folder / weights).read_bytes()

    return load


def _latents(folder: Path) -> bytes:
    run = Run(folder, CONFIG)
    run.latents.verify()
    latents = Latents(run.latents.folder)
    return _bytes([latents.mu, latents.logvar, latents.action, latents.reward, latents.terminated, latents.starts])


def _rollouts(folder: Path) -> bytes:
    rollouts = rollouts_of(Run(folder, CONFIG))
    steps = rollouts.steps(slice(0, int(rollouts.starts[-1])))
    frames = rollouts.frames(np.arange(rollouts.starts[-1]))
    return _bytes([frames, *steps.values(), rollouts.seeds(), rollouts.episode_returns(), rollouts.starts])


def _records(folder: Path) -> bytes:
    stage = Run(folder, CONFIG).vision
    return _tell((stage.fingerprint(), stage.options(), stage.summary(), stage.verify()))


def _labelled(run: Run, folder: Path) -> None:
    stage = Stage(folder / "labels", "Labels", "x")
    with stage.begin({}):
        np.save(stage.folder / NUMBERS, np.arange(20, dtype=np.float32).reshape(10, 2))
        np.save(stage.folder / OBJECTS, np.zeros((10, 512), np.uint8))
        labels = [["speed", "m/s", 0.0, 1.0], ["turn", "rad", 0.0, 1.0]]
        stage.finish({"labels": labels, "objects": "cars", "episodes": [0, 1]}, [NUMBERS, OBJECTS])


def _labels(folder: Path) -> bytes:
    stage = Stage(folder / "labels", "Labels", "x")
    stage.verify()
    labels = Labels(stage.folder, stage.summary(), np.array([0, 5, 10, 15]))
    return _bytes([labels.numbers, labels.masks(labels.rows)])


def _npz(run: Run, folder: Path) -> None:
    random = np.random.default_rng(1)
    frames, actions = random.integers(0, 255, (5, 64, 64, 3), np.uint8), random.random((5, 1), np.float32)
    flags = {"terminated": np.arange(5) == 4, "truncated": np.zeros(5, bool)}
    np.savez_compressed(folder / "0.npz", frames=frames, actions=actions, rewards=np.arange(5.0), seed=3, **flags)


def _imported(folder: Path) -> bytes:
    episode = Episodes(NpzFolder(folder, CONFIG.task), None)(0)
    return _bytes([episode.actions, episode.rewards]) + b"".join(episode.frames) + _tell(episode.terminated)


def _minari(run: Run, folder: Path) -> None:
    frames, steps = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8), 4
    path = folder / "games" / "x-v0" / "data"
    path.parent.mkdir(parents=True)
    storage = MinariStorage.new(path, frames, gym.spaces.Box(-1, 1, (1,)), data_format="hdf5", jpeg_encoding=False)
    flags = np.arange(steps) == steps - 1
    episode = EpisodeBuffer(
        observations=np.random.default_rng(1).integers(0, 255, (steps + 1, 64, 64, 3), np.uint8),
        actions=np.zeros((steps, 1), np.float32),
        rewards=np.arange(float(steps)),
        terminations=flags,
        truncations=np.zeros(steps, bool),
    )
    storage.update_episodes([episode])
    storage.update_metadata({"dataset_id": "games/x-v0", "minari_version": "0.5.4"})


def _from_minari(folder: Path) -> bytes:
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    episode = Episodes(MinariSet("games/x-v0", CONFIG.task), None)(0)
    return _bytes([episode.actions, episode.rewards]) + b"".join(episode.frames)


def _played(run: Run, folder: Path) -> None:
    Played(folder).put("key", Outcomes(np.array([1.5, 2.5]), np.array([10, 20]), np.array([True, False])))


def _outcomes(folder: Path) -> bytes:
    outcomes = Played(folder).get("key")
    return b"" if outcomes is None else _bytes(outcomes)


def _calibration(run: Run, folder: Path) -> None:
    empty = Calibration("m", 3, 10, [], [], None, None, ["a sentence"])
    (folder / "table.json").write_text(json.dumps(to_dict(empty)))


MESSAGE = {"type": "set", "id": 5, "agent": "real", "temperature": 1.15, "mode": "human", "playing": True}

LOADERS = {
    "checkpoint, weights": Loader(
        "safetensors",
        _checkpoint,
        ("*/*.safetensors",),
        lambda folder: load_agent(folder / "checkpoint").digest().encode(),
    ),
    "checkpoint, options": Loader(
        "json",
        _checkpoint,
        ("*/config.json",),
        lambda folder: load_agent(folder / "checkpoint").digest().encode(),
        sealed=False,
    ),
    "V's state": Loader(
        "safetensors",
        _unfinished_vision,
        ("vision/resume.safetensors", "vision/vision.safetensors"),
        _trained(train_vision, "vision/vision.safetensors"),
    ),
    "M's state": Loader(
        "safetensors",
        _unfinished_memory,
        ("memory/resume.safetensors", "memory/memory.safetensors"),
        _trained(train_memory, "memory/memory.safetensors"),
    ),
    "a stage's records": Loader("json", _copy("vision"), ("vision/options.json", "vision/done.json"), _records),
    "history of C": Loader(
        "jsonl",
        _copy("controllers/real"),
        ("controllers/real/history.jsonl",),
        lambda folder: _tell([replace(entry, seconds=0) for entry in read_history(folder / "controllers" / "real")]),
        torn=True,
    ),
    "metrics": Loader(
        "jsonl",
        _copy("memory"),
        ("memory/metrics.jsonl",),
        lambda folder: _tell(read_metrics(folder / "memory")),
        sealed=False,
    ),
    "options in YAML": Loader(
        "yaml",
        lambda run, folder: (folder / "x.yaml").write_text(write_yaml(CONFIG)),
        ("x.yaml",),
        lambda folder: _tell(load_config([folder / "x.yaml"])),
        sealed=False,
    ),
    "latents": Loader("npy", _copy("latents"), tuple(f"latents/{name}" for name in FILES), _latents),
    "rollouts": Loader("lance", _copy("rollouts"), ("rollouts/episodes.lance/*/*",), _rollouts),
    "labels": Loader("npy", _labelled, ("labels/*.npy",), _labels),
    "episodes in .npz": Loader("npz", _npz, ("0.npz",), _imported, sealed=False),
    "episodes of Minari": Loader("hdf5", _minari, ("games/x-v0/data/*.hdf5",), _from_minari, sealed=False),
    "played episodes": Loader("json", _played, ("*.json",), _outcomes, sealed=False),
    "calibration": Loader(
        "json",
        _calibration,
        ("table.json",),
        lambda folder: _tell(typed(Calibration, read_json(folder / "table.json"), "table.json")),
        sealed=False,
    ),
    "messages of a page": Loader(
        "message",
        lambda run, folder: (folder / "message").write_text(json.dumps(MESSAGE)),
        ("message",),
        lambda folder: _tell(understood((folder / "message").read_bytes().decode("utf-8", "replace"))),
        sealed=False,
    ),
}
"""All of them, by name."""
