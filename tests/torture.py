"""Kill anything, any time: small runs are disturbed again and again, and have to end as undisturbed ones do.

Each kill hits, at a random moment of a random stage, one of

- the driver, the process that was started by hand;
- the writer: the driver too, but at a moment at which a file is half-written;
- a Ray worker; a game engine (VizDoom).

After each one, the victim's processes, shared memory and temporary folders have to be gone; a driver is started again
with the same command. A finished run's files are compared, byte for byte, with those of an undisturbed run; what is
left out are clock times, TensorBoard's files and Lance's (whose rows are compared).

    python tests/torture.py --kills 100 [--variants counting counting-ray cover-ray] [--seed 1]
"""

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from killing import contents
from processes import below, is_engine, is_ray_worker, seconds_until_clean, shared_memory

from worldmodels.config import Config

STAGES = {
    "collect": "rollouts",
    "vision": "vision",
    "memory": "memory",
    "calibration": "calibration",
    "real": "controllers/real",
    "dream": "controllers/dream",
    "evaluate": "evaluation",
}
COMPARED = (*STAGES.values(), "latents")
PLAYING = ("collect", "calibration", "real", "dream", "evaluate")
"""Stages with workers."""
IN_GAMES = ("collect", "calibration", "real", "evaluate")
VICTIMS = {
    "counting": ("driver", "writer"),
    "counting-ray": ("driver", "worker"),
    "cover": ("driver", "engine"),
    "cover-ray": ("driver", "worker", "engine"),
}
CRASHED = (-signal.SIGSEGV, -signal.SIGABRT)
"""An engine that dies while it starts takes its Python process along (vizdoom 1.3.2): then the driver starts again."""


def config_of(variant: str) -> Config:
    """Options of a run that takes seconds."""
    from counting import tiny_config

    from worldmodels.options import load_config

    config = tiny_config(episodes=40)
    if variant.startswith("cover"):
        small = {
            "collect": {"episodes": 24, "max_steps": 60},
            "vision": {"latent_dim": 4, "steps": 6, "batch": 4, "validate_every": 2, "validation_frames": 8},
            "memory": {"hidden": 8, "mixtures": 2, "steps": 6, "batch": 2, "sequence": 10, "validate_every": 2},
        }
        game = load_config(["take_cover"], small)
        parts = {name: dataclasses.replace(each, max_steps=40) for name, each in config.controllers.items()}
        config = dataclasses.replace(
            game,
            task=dataclasses.replace(game.task, max_steps=100),
            controllers=parts,
            calibrate=config.calibrate,
            evaluate=dataclasses.replace(game.evaluate, episodes=4),
            compute=config.compute,
        )
    workers = 2 if variant.endswith("-ray") else 0
    return dataclasses.replace(config, compute=dataclasses.replace(config.compute, workers=workers))


def work(variant: str, folder: Path) -> None:
    """The victim: every stage in order; beside the folder it says which one it is at, and when each began."""
    import torch
    from killing import STAGES as calls

    import worldmodels.collect.stage
    from worldmodels.cli import guarded
    from worldmodels.evaluate import evaluate
    from worldmodels.files import write_json
    from worldmodels.runs import Run

    torch.set_num_threads(1)
    worldmodels.collect.stage.FLUSH_ROWS = 15
    run, begun = Run(folder, config_of(variant)), list[tuple[str, float]]()
    for stage in STAGES:
        begun.append((stage, time.time()))
        write_json(folder.with_suffix(".begun"), {"begun": begun})
        if not is_done(folder, stage):  # once there are controllers, the calibration is made again with them
            guarded(lambda stage=stage: (calls | {"evaluate": evaluate})[stage](run))
    write_json(folder.with_suffix(".begun"), {"begun": [*begun, ("the end", time.time())]})


def is_done(folder: Path, stage: str) -> bool:
    """Whether a run's stage is over."""
    last = {"calibration": "table.md", "evaluate": "episodes.csv"}.get(stage, "done.json")
    return (folder / STAGES[stage] / last).exists()


class Victim:
    """A run under way in a process of its own."""

    def __init__(self, variant: str, folder: Path) -> None:
        self.variant, self.folder, self.memory = variant, folder, shared_memory()
        folder.with_suffix(".begun").unlink(missing_ok=True)
        command = [sys.executable, __file__, "--child", variant, str(folder)]
        with folder.with_suffix(".said").open("a") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)

    def begun(self) -> dict[str, float]:
        """When each stage began."""
        path = self.folder.with_suffix(".begun")
        return dict(json.loads(path.read_text())["begun"]) if path.exists() else {}

    def unfinished(self) -> list[str]:
        """Stages that are not done."""
        return [stage for stage in STAGES if not is_done(self.folder, stage)]

    def over(self) -> bool:
        """Whether the process has ended; AssertionError if it ended badly by itself."""
        status = self.process.poll()
        assert status in (None, 0, -signal.SIGKILL, *CRASHED), self.folder.with_suffix(".said").read_text()[-3000:]
        return status is not None

    def wait_for(self, stage: str) -> bool:
        """Wait until it is at a stage; False if it ends before."""
        while stage not in self.begun():
            if self.over():
                return False
            time.sleep(0.005)
        return True

    def half_written(self) -> bool:
        """Whether a file is being written just now."""
        data = list((self.folder / "rollouts" / "episodes.lance").glob("data/*"))
        named = list((self.folder / "rollouts" / "episodes.lance").glob("_versions/*.manifest"))
        return len(data) > len(named) or any(self.folder.glob("**/.*.tmp*"))

    def candidates(self, kind: str) -> list[int]:
        """Processes of a kind."""
        if kind in ("driver", "writer"):
            return [self.process.pid] if kind == "driver" or self.half_written() else []
        return below(self.process.pid, is_engine if kind == "engine" else is_ray_worker)

    def kill(self, kind: str, patience: float, chance: random.Random) -> float | None:
        """Kill one of a kind; returns the seconds until nothing was left of it, None if there was none in time."""
        deadline = time.monotonic() + patience
        while not self.over():
            if found := self.candidates(kind):
                pid = chance.choice(found)
                lost = [pid, *below(pid)]
                os.kill(pid, signal.SIGKILL)
                if pid == self.process.pid:
                    self.process.wait()
                    return seconds_until_clean(lost, self.memory)
                return seconds_until_clean(lost, shared_memory() | self.memory)
            if time.monotonic() > deadline:
                return None
            time.sleep(0 if kind == "writer" else 0.005)
        return None

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def undisturbed(variant: str, root: Path) -> tuple[dict[str, object], dict[str, float]]:
    """What a run leaves that nobody disturbs, and how long its stages take."""
    victim = Victim(variant, root / f"{variant}-undisturbed")
    try:
        assert victim.process.wait(1200) == 0, victim.folder.with_suffix(".said").read_text()[-3000:]
    finally:
        victim.stop()
    seconds_until_clean([victim.process.pid], victim.memory)
    times = list(victim.begun().values())
    return left(victim.folder), {s: b - a for s, a, b in zip(STAGES, times, times[1:], strict=False)}


def left(folder: Path) -> dict[str, object]:
    """What a run leaves."""
    return {name: contents(folder / name) for name in COMPARED}


def plan(victim: Victim, chance: random.Random) -> tuple[str, str]:
    """Whom to kill, and in which stage."""
    kind = chance.choice(VICTIMS[victim.variant])
    fit = {"worker": PLAYING, "engine": IN_GAMES}.get(kind, tuple(STAGES))
    open_stages = [stage for stage in victim.unfinished() if stage in fit]
    if not open_stages:
        return "driver", victim.unfinished()[0]
    return kind, chance.choice(open_stages[:2])  # soon, so that the last stages do not get most of the kills


def disturb(variant: str, root: Path, kills: int, chance: random.Random) -> Iterator[tuple[str, str, float, float]]:
    """Kill so many times; yields victim, stage, when in it, and seconds until nothing was left of the victim."""
    expected, seconds = undisturbed(variant, root)
    print(f"{variant}: undisturbed in {sum(seconds.values()):.0f} s", flush=True)
    done = runs = 0
    while done < kills:
        folder = root / f"{variant}-{runs}"
        victim = Victim(variant, folder)
        try:
            while victim.unfinished():
                if victim.over():
                    if victim.process.returncode == 0:
                        break
                    victim = Victim(variant, folder)
                kind, stage = plan(victim, chance)
                if done == kills or not victim.wait_for(stage):
                    victim.process.wait()
                    continue
                moment = chance.uniform(0, seconds[stage])
                time.sleep(moment)
                clean = victim.kill(kind, seconds[stage] + 2, chance)
                if clean is not None:
                    done += 1
                    yield kind, list(victim.begun())[-1], moment, clean
            victim.process.wait()
            seconds_until_clean([victim.process.pid], victim.memory)
        finally:
            victim.stop()
        found = left(folder)
        different = [name for name in COMPARED if found[name] != expected[name]]
        assert not different, f"{variant}: {different} of {folder} differ from the undisturbed run"
        runs += 1
        shutil.rmtree(folder)
    print(f"{variant}: {kills} kills in {runs} runs, all equal to the undisturbed one", flush=True)


def torture(variants: list[str], kills: int, seed: int) -> Counter[tuple[str, str]]:
    """So many kills, spread over the variants; returns how often whom in which stage."""
    chance, tally, number = random.Random(seed), Counter[tuple[str, str]](), 0
    with tempfile.TemporaryDirectory() as folder:
        for index, variant in enumerate(variants):
            share = kills * (index + 1) // len(variants) - kills * index // len(variants)
            for kind, stage, moment, clean in disturb(variant, Path(folder), share, chance):
                number += 1
                tally[kind, stage] += 1
                print(f"{number:4} {variant:13} {kind:7} in {stage:12} at {moment:5.2f} s, clean after {clean:4.1f} s")
                sys.stdout.flush()
    return tally


def print_table(tally: Counter[tuple[str, str]]) -> None:
    """Who was killed when, as Markdown."""
    stages = [*STAGES, *sorted({stage for _, stage in tally} - set(STAGES))]
    print("\n| killed | " + " | ".join(stages) + " | all |\n|" + "---|" * (len(stages) + 2))
    for kind in sorted({kind for kind, _ in tally}):
        counts = [tally[kind, stage] for stage in stages]
        print(f"| {kind} | " + " | ".join(str(count or "") for count in (*counts, sum(counts))) + " |")
    print(f"\n{tally.total()} kills; every run ended as the undisturbed one, and nothing was left behind.")


def main() -> None:
    """Torture, or be the victim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--variants", nargs="+", choices=list(VICTIMS), default=list(VICTIMS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        work(options.child[0], Path(options.child[1]))
    else:
        print_table(torture(options.variants, options.kills, options.seed))


if __name__ == "__main__":
    main()
