"""All measures of a run's V, and of its M if there is one, on episodes that neither learned from."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from worldmodels.calibration.prediction import prediction_errors
from worldmodels.data.encoding import encode
from worldmodels.data.labels import Labels, label_rollouts
from worldmodels.data.latents import latents_of
from worldmodels.data.rollouts import HELD_OUT, rollouts_of, rows_of, spread
from worldmodels.errors import UserError
from worldmodels.files import read_json, write_json
from worldmodels.measure.distances import kernel_distance, precision_recall
from worldmodels.measure.features import STATEMENT, Features
from worldmodels.measure.fitted import fitted_samples
from worldmodels.measure.probes import linear_probe
from worldmodels.measure.reconstruction import decoded, squared_error
from worldmodels.memory.train import trained_memory
from worldmodels.metrics import say
from worldmodels.options import identity
from worldmodels.pictures import to_bytes
from worldmodels.runs import Run
from worldmodels.runtime import pick_device
from worldmodels.seeds import stream, torch_seed
from worldmodels.vision.base import VisionModel
from worldmodels.vision.train import split_of, trained_vision

MEASURES = "measures.json"
SEED = 1
"""Of everything that is drawn here, whatever the run's own: runs that share their rollouts are measured on the same."""
PROBE_FRAMES = 4
"""Frames that a probe learns from, in units of those that it is tested on."""
Found = dict[str, Any]


def measure_vision(run: Run) -> Found:
    """Measure the run's V, and its M if that is trained, and write `measures/measures.json`.

    What was measured before, of the same V and M and with the same options, is not measured again.

    Raises:
        UserError: V is not finished, or of another game or seed than the options say; there are fewer than two frames
            that it learned from or fewer than two others; or rollouts that were collected come out otherwise when they
            are played again.
    """
    vision = trained_vision(run)
    run.vision.check_options(run.made_from())
    made_from: Found = {
        "measure": identity(run.config.measure),
        "extractor": STATEMENT,
        "rollouts": run.rollouts.fingerprint(),
        "vision": run.vision.fingerprint(),
        "memory": run.memory.fingerprint() if run.memory.done else None,
    }
    with run.measures.begin({}):
        path = run.measures.folder / MEASURES
        found = read_json(path) if path.exists() else {}
        if found.get("made_from") != made_from:
            found = {"made_from": made_from, **_Measuring(run, vision, label_rollouts(run)).all()}
            write_json(path, found)
            found = read_json(path)
    print_measures(found, path)
    return found


class _Measuring:
    """The measuring of one V: it and the frames on which it is measured."""

    def __init__(self, run: Run, vision: VisionModel, labels: Labels | None) -> None:
        self.run, self.labels, self.options = run, labels, run.config.measure
        self.rollouts = rollouts_of(run)
        self.device = pick_device(run.config.compute)
        self.vision = vision.to(self.device)
        self.training, self.validation = split_of(run, len(self.rollouts))
        self.notes: list[str] = []
        self.rows = self._drawn("frames", self._labelled(self.validation), self.options.frames)
        self.frames = self.rollouts.frames(self.rows)
        reference = self._drawn("reference", self.training, self.options.frames)
        self.reference = self.rollouts.frames(reference)
        if min(len(self.rows), len(reference)) < 2:
            raise UserError(
                f"{len(reference)} training and {len(self.rows)} held-out frames are too few to measure V by: "
                "both take two at least, so collect more."
            )

    def _labelled(self, episodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some episodes that have labels; all of them if the game tells none."""
        return episodes if self.labels is None else np.intersect1d(episodes, self.labels.episodes)

    def _drawn(self, purpose: str, episodes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        rows = rows_of(self.rollouts.starts, episodes)
        return np.sort(stream(SEED, f"measure/{purpose}").choice(rows, min(count, len(rows)), replace=False))

    def all(self) -> Found:
        """Every measure that this V allows."""
        mu = self._means(self.frames)
        return {
            "model": self.vision.config.model,
            "latent_dim": self.vision.latent_dim,
            "frames": len(self.rows),
            "episodes": len(self._labelled(self.validation)),
            "objects": None if self.labels is None else self.labels.objects,
            "reconstruction": self._reconstruction(mu),
            "samples": self._samples(mu),
            "probes": self._probes(mu),
            "prediction": self._prediction(),
            "notes": self.notes,
        }

    def _means(self, frames: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Means (N, Z) of frames; None, with a note, if the model cannot encode."""
        if not self.vision.encodes:
            self.notes.append(f"This {self.vision.config.model} has no encoder: only its samples are measured.")
            return None
        return encode(self.vision, frames, self.device)[0]

    def _reconstruction(self, mu: NDArray[np.float32] | None) -> Found:
        """Squared errors of V, and of the one picture that is the average training frame."""
        masks = None if self.labels is None else self.labels.masks(self.rows)
        average = np.broadcast_to((self.reference / np.float32(255)).mean(0, dtype=np.float32), self.frames.shape)
        found = {"average_frame": squared_error(average, self.frames, masks)}
        if mu is not None:
            found["vision"] = squared_error(decoded(self.vision, mu, self.device), self.frames, masks)
        return found

    def _samples(self, mu: NDArray[np.float32] | None) -> Found:
        """Distances of sets of pictures from real training frames; that of real held-out frames is the floor."""
        features = Features(self.reference)
        real = features(self.reference)

        def compared(pictures: NDArray[np.uint8]) -> Found:
            points = features(pictures)
            manifolds = precision_recall(real, points, self.options.neighbours)
            return {"kid": kernel_distance(real, points), **manifolds._asdict()}

        found = {"real": compared(self.frames)}
        if mu is not None:
            found["reconstructions"] = compared(self._pictures(mu))
            latents = encode(self.vision, self.reference, self.device)
            drawn = fitted_samples(*latents, len(self.rows), stream(SEED, "measure/fitted"))
            found["fitted"] = compared(self._pictures(drawn))
        if self.vision.has_prior:
            prior = self.vision.prior(len(self.rows), torch_seed(SEED, "measure/prior")).numpy()
            found["prior"] = compared(self._pictures(prior))
        else:
            self.notes.append(f"The model {self.vision.config.model} has no prior that could be sampled from.")
        return found

    def _pictures(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        return to_bytes(decoded(self.vision, z, self.device))

    def _probes(self, mu: NDArray[np.float32] | None) -> dict[str, float | None]:
        """R^2 of each of the game's labels on held-out episodes."""
        if self.labels is None or mu is None:
            if mu is not None:
                self.notes.append("The game tells no state, or not that of these episodes, so nothing is probed.")
            return {}
        rows = self._drawn("probes", self._labelled(self.training), PROBE_FRAMES * self.options.frames)
        z = self._means(self.rollouts.frames(rows))
        assert z is not None
        known, tested = self.labels.of(rows), self.labels.of(self.rows)
        pairs = zip(self.labels.names, known.T, tested.T, strict=True)
        return {name: linear_probe(z, label, mu, truth) for name, label, truth in pairs}

    def _prediction(self) -> Found | None:
        """M's likelihood, its baselines, and its pictures of the future; None if there is no M."""
        if not self.run.memory.done:
            self.notes.append("There is no M yet: train it, and measure again, to see how well this V is predicted.")
            return None
        summary = self.run.memory.summary()
        nll, baselines = float(summary["validation"]["nll"]), summary["baselines"]
        found: Found = {"nll": nll, **baselines, "gain": (baselines["no_memory"] - nll) * self.vision.latent_dim}
        memory, _ = trained_memory(self.run)
        latents = latents_of(self.run)
        vision, m = self.vision.cpu(), memory.to(self.device)
        errors = prediction_errors(vision, m, latents, self.rollouts, spread(self.validation, HELD_OUT), SEED)
        if not errors:
            self.notes.append("The held-out episodes are too short for M to look ahead.")
        ahead = {str(error.horizon): dataclasses.asdict(error) for error in errors}
        for told in ahead.values():
            del told["horizon"]
        return found | {"ahead": ahead}


def print_measures(found: Found, path: Path) -> None:
    """The measures as a table on standard output."""
    table = Table(title=f"{found['model']}, {found['latent_dim']} latents, {found['frames']} held-out frames")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in flat(found):
        table.add_row(name, f"{value:.5g}")
    Console(width=110 if not Console().is_terminal else None).print(table)
    for note in found["notes"]:
        say(note)
    say(f"Wrote {path}")


def flat(found: Found) -> list[tuple[str, float]]:
    """The measures in one row: dotted names and numbers."""
    numbers: list[tuple[str, float]] = []

    def walk(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                walk(entry, f"{name}.{key}" if name else key)
        elif isinstance(value, int | float):
            numbers.append((name, float(value)))

    walk({name: found[name] for name in ("reconstruction", "samples", "probes", "prediction")}, "")
    return numbers
