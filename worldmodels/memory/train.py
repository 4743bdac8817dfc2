"""Stage 3: encode the rollouts with V, then train M on the latent sequences."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from operator import methodcaller

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.annealing import cosine_decay
from worldmodels.config import MemoryConfig
from worldmodels.data.encoding import encode_rollouts
from worldmodels.data.latents import Latents
from worldmodels.data.prefetch import prefetch
from worldmodels.data.rollouts import spread, squash_of
from worldmodels.disk import require_space, training_bytes
from worldmodels.errors import UserError
from worldmodels.memory.baselines import baseline_nll, verdict
from worldmodels.memory.heads import GaussianHead
from worldmodels.memory.mdn_rnn import MDNRNN, Sequences, State, load_memory, save_memory
from worldmodels.memory.mixture import Mixture
from worldmodels.memory.open_loop import check_open_loop, dreamt_ends
from worldmodels.memory.sequences import Pieces, read_sequences, streams, whole_episodes
from worldmodels.memory.signs import by_heart_sentence, collapse_sentence, dead_dimensions, dead_sentence
from worldmodels.memory.starts import Starts, gather_starts, load_starts, save_starts
from worldmodels.metrics import Bar, MetricsLog, check_loss, progress_bar
from worldmodels.options import identity
from worldmodels.previous import begun_from, check_alike, check_steps, previous_run, previous_squash
from worldmodels.records import first_difference
from worldmodels.runs import Run
from worldmodels.runtime import pick_device, pick_precision
from worldmodels.seeds import stream, torch_seed
from worldmodels.tensors import load_optimizer, load_tensors, load_weights, optimizer_tensors, resuming, save_tensors
from worldmodels.vision.train import mean_metrics, split_of, trained_vision

WEIGHTS = "memory.safetensors"
STARTS = "starts.safetensors"
RESUME = "resume.safetensors"
SIGN_ROWS = 10_000
VALIDATION_BATCH = 16
SIZES = ("hidden", "mixtures", "reward_head", "done_head", "restart_input")
"""Options that decide what weights M has."""


def train_memory(run: Run) -> None:
    """Encode the run's rollouts, train M on them and keep the weights with the lowest validation loss.

    Writes `memory.safetensors`, `starts.safetensors` (where dreams begin) and the metrics; can be killed and called
    again at any time, and with more `members` once it is finished. Each further member is a stage of its own. With
    `previous` a member begins at the weights of another run's member of the same number, with a new optimiser.

    Raises:
        UserError: an earlier stage is missing, the stage was begun with other options, the loss stopped being a number,
            or the previous run's M is of another size or for other actions.
    """
    vision = trained_vision(run)
    latents = encode_rollouts(run, vision)
    config = run.config.memory
    check_open_loop(config)
    for number in range(config.members):
        stage = run.member(number)
        which: dict[str, int | str] = {"member": number} if number else {}
        which |= begun_from(run, "memory", methodcaller("member", number))
        with stage.begin(run.made_from(memory=identity(config), **which), [run.latents]):
            if stage.done is None:
                _Training(run, number, latents, vision.levels, *split_of(run, len(latents))).run()
            (stage.folder / RESUME).unlink(missing_ok=True)


class _Training:
    """The training of one member. What it is measured on, and where its dreams begin, is the same for all members."""

    def __init__(
        self,
        run: Run,
        member: int,
        latents: Latents,
        levels: int | None,
        training: NDArray[np.int64],
        validation: NDArray[np.int64],
    ) -> None:
        self.stage, self.config, self.latents = run.member(member), run.config.memory, latents
        config, self.seed, self.compute = self.config, run.config.seed, run.config.compute
        self.own_seed = torch_seed(self.seed, "memory/member", member) if member else self.seed
        self.training, self.validation = training, spread(validation, config.validation_episodes)
        self.device = pick_device(run.config.compute)
        self.precision = pick_precision(run.config.compute, self.device)
        torch.manual_seed(torch_seed(self.own_seed, "memory/weights"))
        self.model = MDNRNN(config, latents.latent_dim, latents.action_dim, levels).to(self.device)
        self.optimizer = torch.optim.Adam((p for p in self.model.parameters() if p.requires_grad), fused=True)
        self.state = self.model.initial_state(config.batch)
        self.step, self.best = 0, math.inf
        if (self.stage.folder / RESUME).exists():
            self._resume()
        else:
            before = previous_run(run, "memory")
            known = before if before and before.member(member).started else None
            check_steps("memory", config.steps, known)
            if known:
                self._learn_on(known, run, member)

    def _learn_on(self, before: Run, run: Run, member: int) -> None:
        stage, (kept, _) = before.member(member), trained_member(before, member)
        check_alike(before, "memory", kept, self.model, "vision", ("latent_dim",))
        check_alike(before, "memory", kept.config, self.config, "memory", SIZES)
        _check_actions(before, run)
        load_weights(self.model, kept.state_dict(), stage.folder / WEIGHTS)

    def _resume(self) -> None:
        path = self.stage.folder / RESUME
        tensors, metadata = load_tensors(path)
        tensors = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
        load_weights(self.model, weights, path)
        with resuming(path):
            load_optimizer(self.optimizer, tensors)
            state = State(tensors["state.h"], tensors["state.c"])
            if any(one.shape != other.shape for one, other in zip(state, self.state, strict=True)):
                raise ValueError("its state is of another size")
            self.state = state
            self.step, self.best = int(metadata["step"]), float(metadata["best"])

    def run(self) -> None:
        """All steps that are left."""
        config, total = self.config, self.config.steps
        lengths, latest = self.latents.lengths, config.latest
        pieces = streams(self.training, lengths, config.batch, config.sequence, self.own_seed, latest=latest)
        planned = itertools.islice(enumerate(pieces, 1), self.step, total)
        frames = config.batch * config.sequence
        with (
            MetricsLog(self.stage.folder, self.step) as log,
            progress_bar(self.stage.label, total * frames, "steps", self.step * frames) as bar,
        ):
            require_space(self.stage.folder, self._bytes(), self.stage.label, self.compute)
            for (step, piece), batch in prefetch(self._read, planned):
                self.step = step
                metrics = self._learn(piece, batch)
                bar.advance(frames)
                if self.step % 10 == 0:
                    values = {name: float(value) for name, value in metrics.items()}
                    self._check(values["loss"])
                    log.write(self.step, **values)
                    bar.advance(0, f"nll {values['nll']:.3f}")
                if self.step % config.validate_every == 0 or self.step == total:
                    self._validate(log, bar)
            if not total:
                self._validate(log, bar)
            self._finish(bar)

    def _bytes(self) -> int:
        """What its files take on disk, an estimate; the starts are of two kinds, with four tensors each."""
        starts = 4 * self.config.start_states * 4 * (self.latents.latent_dim + self.config.hidden)
        return training_bytes(self.model) + starts

    def _read(self, planned: tuple[int, Pieces]) -> Sequences:
        step, pieces = planned
        noise = torch_seed(self.own_seed, "memory/noise", step)
        return read_sequences(self.latents, pieces, self.config.sequence, noise)

    def _learn(self, pieces: Pieces, batch: Sequences) -> dict[str, torch.Tensor]:
        config = self.config
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = cosine_decay(config.learning_rate, config.final_learning_rate, self.step / config.steps)
        carried = torch.from_numpy(~pieces.fresh).to(self.device)[:, None]
        state = State(self.state.h * carried, self.state.c * carried)
        torch.manual_seed(torch_seed(self.own_seed, "memory/dropout", self.step))  # nothing else draws without a seed
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            batch = Sequences(*(tensor.to(self.device) for tensor in batch))
            loss, metrics, after = self.model.loss(batch, state)
            if self.config.open_loop:
                metrics["dreamt_done"] = dreamt_ends(self.model, batch, state)
                loss = loss + metrics["dreamt_done"]
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(self.model.parameters(), self.config.grad_clip)
        self.optimizer.step()
        self.state = State(after.h.detach().float(), after.c.detach().float())
        return {name: value.detach() for name, value in metrics.items()}

    def _check(self, loss: float) -> None:
        check_loss(loss, self.stage.label, self.step, self.stage.folder / WEIGHTS, "memory.learning_rate")

    def _validate(self, log: MetricsLog, bar: Bar) -> None:
        """Measure on held-out episodes, keep the best weights, and save the state to resume from."""
        require_space(self.stage.folder, self._bytes(), self.stage.label, self.compute)
        values = validate_memory(self.model, self.latents, self.validation, self.seed)
        self._check(values["loss"])
        log.write(self.step, **{f"validation/{name}": value for name, value in values.items()})
        told = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        bar.say(f"{self.stage.label} step {self.step}: validation {told}")
        if values["loss"] < self.best:
            self.best = values["loss"]
            save_memory(self.stage.folder / WEIGHTS, self.model, step=self.step, validation=values)
        state = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        state |= optimizer_tensors(self.optimizer) | {"state.h": self.state.h, "state.c": self.state.c}
        save_tensors(self.stage.folder / RESUME, state, step=self.step, best=self.best)

    def _finish(self, bar: Bar) -> None:
        model = load_memory(self.stage.folder / WEIGHTS, self.config).to(self.device)
        save_starts(
            self.stage.folder / STARTS,
            gather_starts(self.latents, model, self.training, self.config.start_states, self.seed),
        )
        _, metadata = load_tensors(self.stage.folder / WEIGHTS)
        baselines = baseline_nll(self.latents, self.training, self.validation, model.output, self.seed)
        bar.say(verdict(metadata["validation"]["nll"], baselines))
        for sentence in filter(None, self._signs(model, metadata["validation"])):
            bar.say(sentence)
        summary = {"steps": self.config.steps, "baselines": baselines, **metadata}
        self.stage.finish(summary, artefacts=[WEIGHTS, STARTS])

    @torch.inference_mode()
    def _signs(self, model: MDNRNN, held_out: dict[str, float]) -> Iterator[str | None]:
        """What has gone wrong without the validation's loss, `held_out`, saying so."""
        rows = stream(self.seed, "memory/signs").choice(len(self.latents.mu), min(SIGN_ROWS, len(self.latents.mu)))
        dead = dead_dimensions(self.latents.mu[rows], self.latents.logvar[rows])
        yield dead_sentence(dead, self.latents.latent_dim)
        learned = validate_memory(model, self.latents, spread(self.training, len(self.validation)), self.seed)
        yield by_heart_sentence(learned, held_out, len(self.validation))
        if isinstance(model.output, GaussianHead):
            group = self.validation[:VALIDATION_BATCH]
            batch = Sequences(*(tensor.to(self.device) for tensor in whole_episodes(self.latents, group, self.seed)))
            prediction, _ = model(batch.z[:, :-1], batch.action, batch.restart, model.initial_state(len(group)))
            yield collapse_sentence(Mixture(*(part[batch.has_next] for part in prediction.mixture)))


def _check_actions(before: Run, run: Run) -> None:
    """Raise UserError if actions meant something else to the M of `before`, whose rollouts may be gone."""
    old, new = previous_squash(before), squash_of(run.rollouts)
    if old and (difference := first_difference(dataclasses.asdict(old), dataclasses.asdict(new))):
        key, kept, asked = difference
        raise UserError(
            f"{before.folder} has actions of {key} = {kept}, and those of {run.folder} have {asked}: "
            "keep the game and its task.squash, or begin anew: --anew memory."
        )


@torch.inference_mode()
def validate_memory(model: MDNRNN, latents: Latents, episodes: NDArray[np.int64], seed: int) -> dict[str, float]:
    """The loss and its parts on whole held-out episodes, each step counted once."""
    model.eval()
    device = model.head.weight.device

    def measured() -> Iterator[tuple[int, dict[str, float]]]:
        for group in np.array_split(episodes, -(-len(episodes) // VALIDATION_BATCH)):
            batch = Sequences(*(tensor.to(device) for tensor in whole_episodes(latents, group, seed)))
            _, metrics, _ = model.loss(batch, model.initial_state(len(group)))
            values = {name: float(value) for name, value in metrics.items()}
            loss, nll = values.pop("loss"), values.pop("nll")
            if count := int(batch.has_next.sum()):  # an episode's last step has no next latent
                yield count, {"nll": nll}
            yield int(batch.valid.sum()), {"heads": loss - nll, **values}

    means = {"nll": 0.0} | mean_metrics(measured())
    return {"loss": means["nll"] + means.pop("heads"), **means}


def trained_memory(run: Run) -> tuple[MDNRNN, Starts]:
    """The M of a run, on the CPU, and the starts of its dreams; UserError if it is not finished."""
    return trained_member(run, 0)


def trained_member(run: Run, number: int) -> tuple[MDNRNN, Starts]:
    """The M of that number, on the CPU, and what it remembers at the starts of all members' dreams.

    Raises UserError if it is not finished, or was made from another V than the run now has.
    """
    stage = run.member(number)
    stage.summary()
    run.check_lineage(stage)
    path = stage.folder / WEIGHTS
    return load_memory(path, stage.section(MemoryConfig, "memory")), load_starts(stage.folder / STARTS)
